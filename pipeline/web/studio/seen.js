"use strict";
// The reader looks at this tab again: another one may have changed what it shows.
{
  const tell = () => { if (!document.hidden) emitEvent("seen"); };
  document.addEventListener("visibilitychange", tell);
  addEventListener("focus", tell);
}
