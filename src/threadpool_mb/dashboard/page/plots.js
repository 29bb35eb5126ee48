// Plots over time, drawn as SVG.

import { compact, duration, element, figure, keyed, setText } from "./parts.js";

const SVG = "http://www.w3.org/2000/svg";
const SPANS = [30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];
const MARGIN = { left: 44, right: 10, top: 10, bottom: 20 };
const COLOURS = 5;

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const tick = (value) => (value < 10_000 ? figure(value) : compact(value));

// The least of 1, 2 and 5 times a power of ten that gives at most three steps.
function step(highest) {
  const power = 10 ** Math.floor(Math.log10(highest / 3));
  return [1, 2, 5, 10].map((factor) => factor * power).find((each) => highest / each <= 3) ?? highest;
}

function nearest(times, time) {
  let best = 0;
  times.forEach((each, place) => {
    if (Math.abs(each - time) < Math.abs(times[best] - time)) best = place;
  });
  return best;
}

export class Plot {
  // `onCursor(time)` is told where the pointer is, `null` where it has left.
  constructor(title, onCursor = null, wholeNumbers = true) {
    this.title = title;
    this.wholeNumbers = wholeNumbers;
    this.times = [];
    this.series = [];
    this.cursor = null;
    this.over = false; // nothing comes after the last time
    this.svg = shape("svg", { role: "img" });
    this.now = element("span", { class: "now" });
    this.legend = element("ul");
    const heading = element("h3");
    heading.textContent = title;
    this.figure = element(
      "figure", { class: "plot" }, element("figcaption", {}, heading, this.now), this.svg, this.legend,
    );
    new ResizeObserver(() => this.draw()).observe(this.svg);
    if (onCursor) {
      this.svg.addEventListener("pointermove", (event) => onCursor(this.timeAt(event)));
      this.svg.addEventListener("pointerleave", () => onCursor(null));
    }
  }

  // `series` is a list of { name, values }; a value that is not known is null.
  show(times, series) {
    this.times = times;
    this.series = series.map((each, place) => ({ ...each, colour: place % COLOURS }));
    this.draw();
  }

  point(time) {
    this.cursor = time;
    this.draw();
  }

  timeAt(event) {
    const box = this.svg.getBoundingClientRect();
    const across = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    return this.end - this.span * (1 - Math.min(1, Math.max(0, across)));
  }

  draw() {
    const { width, height } = this.svg.getBoundingClientRect();
    if (!width) return;
    const { times, series } = this;
    this.end = times.at(-1) ?? 0;
    const past = this.end - (times[0] ?? 0);
    this.span = SPANS.find((each) => each >= past) ?? past;
    const known = series.flatMap((each) => each.values).filter((value) => value != null);
    const highest = Math.max(this.wholeNumbers ? 2 : 1, ...known);
    const each = step(highest);
    const top = each * Math.ceil(highest / each);
    const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    const x = (time) => box.right - ((this.end - time) / this.span) * (box.right - box.left);
    const y = (value) => box.bottom - (value / top) * (box.bottom - box.top);
    const place = this.cursor == null || !times.length ? times.length - 1 : nearest(times, this.cursor);

    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(
      ...this.grid(box, each, top, y),
      ...series.flatMap((one) => this.curve(one, series.length === 1, x, y, box)),
      ...(this.cursor == null || !times.length ? [] : this.marks(place, x, y, box)),
    );
    this.say(place, known);
  }

  grid(box, each, top, y) {
    const shapes = [];
    for (let value = 0; value <= top * 1.0001; value += each) {
      const level = y(value);
      shapes.push(shape("line", { class: "grid", x1: box.left, x2: box.right, y1: level, y2: level }));
      shapes.push(shape("text", { x: box.left - 6, y: level + 4, "text-anchor": "end" }, tick(value)));
    }
    const low = box.bottom + 15;
    shapes.push(shape("text", { x: box.left, y: low }, `${duration(this.span)} ${this.over ? "before" : "ago"}`));
    shapes.push(shape("text", { x: box.right, y: low, "text-anchor": "end" }, this.over ? "its end" : "now"));
    return shapes;
  }

  curve(one, filled, x, y, box) {
    const runs = [];
    let run = null;
    one.values.forEach((value, place) => {
      if (value == null) {
        run = null;
        return;
      }
      if (!run) runs.push((run = []));
      run.push(`${x(this.times[place]).toFixed(1)},${y(value).toFixed(1)}`);
    });
    const lines = runs.map((points) => `M${points.join("L")}`).join("");
    const shapes = [];
    if (filled) {
      const areas = runs.map((points) => {
        const first = points[0].split(",")[0];
        const last = points.at(-1).split(",")[0];
        return `M${first},${box.bottom}L${points.join("L")}L${last},${box.bottom}Z`;
      });
      shapes.push(shape("path", { class: `area c${one.colour}`, d: areas.join("") }));
    }
    shapes.push(shape("path", { class: `curve c${one.colour} d${one.colour}`, d: lines }));
    return shapes;
  }

  marks(place, x, y, box) {
    const across = x(this.times[place]);
    const shapes = [shape("line", { class: "cursor", x1: across, x2: across, y1: box.top, y2: box.bottom })];
    for (const one of this.series) {
      const value = one.values[place];
      if (value != null) shapes.push(shape("circle", { class: `c${one.colour}`, cx: across, cy: y(value), r: 3.5 }));
    }
    return shapes;
  }

  say(place, known) {
    const values = this.series.map((one) => [one, one.values[place]]);
    const ago = this.end - (this.times[place] ?? this.end);
    const when = this.cursor == null || ago < 0.05 ? "" : `${duration(ago)} ago: `;
    const named = values.length > 1 || values.some(([one]) => one.always);
    const spoken = values.map(([one, value]) => `${named ? `${one.name} ` : ""}${figure(value)}`);
    setText(this.now, when + (values.length ? (named ? "" : figure(values[0][1])) : "none"));
    const label = known.length
      ? `${this.title}: now ${spoken.join(", ")}; highest ${figure(Math.max(...known))} in ${duration(this.span)}`
      : `${this.title}: nothing yet`;
    if (this.cursor == null) this.svg.setAttribute("aria-label", label);
    this.legend.hidden = !named;
    if (named) this.explain(values);
  }

  explain(values) {
    keyed(
      this.legend, values, ([one]) => `${one.name} ${one.colour}`,
      ([one]) => {
        const line = shape("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
        line.append(shape("path", { class: `curve c${one.colour} d${one.colour}`, d: "M0,4L22,4" }));
        return element("li", {}, line, element("span"));
      },
      (item, [one, value]) => setText(item.lastChild, `${one.name} ${figure(value)}`),
    );
  }
}
