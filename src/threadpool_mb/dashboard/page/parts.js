// Elements, rows that keep their place and focus, and numbers as texts.
//
// Whatever comes from the server is set as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Writing the same text again would make a screen reader, or a selection, begin anew.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setShown(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

// One child of `parent` for each item, in the items' order. A child stays as long as its item's
// name does, so that the focus stays, too; with `hold`, also in its place. A child that has the focus
// stays until the focus has left it.
export function keyed(parent, items, nameOf, make, update, hold = false) {
  const before = new Map([...parent.children].map((child) => [child.dataset.name, child]));
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const wanted = items.map((item) => {
    const name = String(nameOf(item));
    const child = before.get(name) ?? make(item);
    child.dataset.name = name;
    update(child, item);
    return child;
  });
  const stays = new Set(wanted);
  const last = focused && [...parent.children].find((child) => child.contains(focused));
  if (last && !stays.has(last)) {
    stays.add(last);
    wanted.splice([...parent.children].indexOf(last), 0, last);
  }
  let order = wanted;
  if (hold) {
    const kept = [...parent.children].filter((child) => stays.has(child));
    const known = new Set(kept);
    order = [...kept, ...wanted.filter((child) => !known.has(child))];
  }
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  order.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  // What is moved loses the focus.
  if (focused && focused.isConnected && document.activeElement !== focused) {
    focused.focus({ preventScroll: true });
  }
}

// Two columns: words, and numbers. `pairs` is an object.
export function countRows(body, pairs) {
  const items = Object.entries(pairs).sort((a, b) => b[1] - a[1]);
  keyed(
    body, items, ([name]) => name,
    () => element("tr", {}, element("th", { scope: "row" }), element("td", { class: "number" })),
    (row, [name, count]) => {
      setText(row.children[0], name);
      setText(row.children[1], whole(count));
    },
  );
  return items.length;
}

// Terms and what is said of each. `pairs` is a list of [term, text, class].
export function termRows(list, pairs) {
  keyed(
    list, pairs, ([term]) => term,
    () => element("div", {}, element("dt"), element("dd")),
    (row, [term, text, kind]) => {
      setText(row.children[0], term);
      setText(row.children[1], text);
      row.className = kind ?? "";
    },
  );
}

const wholes = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const whole = (number) => (number == null ? "–" : wholes.format(number));
export const figure = (number) =>
  number == null ? "–" : (Math.abs(number) < 10 ? tenths : wholes).format(number);
export const compact = (number) => (number < 1_000_000 ? figure(number) : short.format(number));

export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 10) return `${tenths.format(seconds)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${tenths.format(seconds / 3600)} h`;
}

export const sum = (counts) => Object.values(counts).reduce((all, each) => all + each, 0);
