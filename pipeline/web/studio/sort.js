// Lets each head of a table of class "sortable" sort its rows; rows without a value come last.
document.addEventListener('click', (event) => {
  const button = event.target.closest('.sortable thead button');
  if (!button) return;
  const head = button.closest('th');
  const table = head.closest('table'), body = table.tBodies[0];
  const place = [...head.parentElement.children].indexOf(head);
  const down = head.getAttribute('aria-sort') !== 'descending';
  for (const other of head.parentElement.children) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const value = (row) => parseFloat(row.cells[place].dataset.value ?? 'NaN');
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
    return x === y ? 0 : (x < y) === down ? 1 : -1;
  });
  body.append(...rows);
});
