"use strict";
// The browser's own buttons change the address alone: say so. A move within the page, as to its
// contents, is no other address.
{
  let shown = location.search;
  for (const name of ["pushState", "replaceState"]) {
    const own = history[name].bind(history);
    history[name] = (...change) => { own(...change); shown = location.search; };
  }
  addEventListener("popstate", () => {
    if (location.search === shown) return;
    shown = location.search;
    emitEvent("went", shown.slice(1));
  });
}
