// The charts of a report, as SVG: each function draws into an element at the element's width and gives nothing back.
"use strict";

const charts = (() => {
  const kNamespace = "http://www.w3.org/2000/svg";
  const kRight = 18, kAxis = 26;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "12px system-ui, sans-serif";
  const widthOf = (text) => pen.measureText(text).width;

  function make(parent, name, attributes, text) {
    const node = document.createElementNS(kNamespace, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  // A scale from values to pixels; logarithmic where the values span more than a decade.
  function scale(values, from, to, { log, zero } = {}) {
    let least = Math.min(...values), most = Math.max(...values);
    const logarithmic = least > 0 && (log ?? most / least > 10);
    const turn = logarithmic ? Math.log10 : (value) => value;
    if (!logarithmic && zero) [least, most] = [Math.min(least, 0), Math.max(most, 0)];
    let low = turn(least), high = turn(most);
    const margin = (high - low) * 0.04 || Math.abs(high) * 0.05 || 1;
    if (logarithmic || !zero || low < 0) low -= margin;
    high += margin;
    const place = (value) => from + ((turn(value) - low) / (high - low)) * (to - from);
    return { place, ticks: logarithmic ? logTicks(low, high) : linearTicks(low, high, Math.abs(to - from) / (to < from ? 40 : 90)) };
  }

  function linearTicks(low, high, count) {
    const rough = (high - low) / Math.max(3, count), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step); tick * step <= high; ++tick) ticks.push(tick * step);
    return ticks;
  }

  function logTicks(low, high) {
    const factors = high - low < 1.2 ? [1, 2, 3, 5] : high - low < 2.5 ? [1, 3] : [1];
    const ticks = [];
    for (let power = Math.floor(low); power <= high; ++power) {
      for (const factor of factors) {
        const tick = factor * 10 ** power;
        if (Math.log10(tick) >= low && Math.log10(tick) <= high) ticks.push(tick);
      }
    }
    return ticks;
  }

  // The ticks that have room for their text.
  function spaced(ticks, place, text) {
    let end = -Infinity;
    return ticks.filter((tick) => {
      const half = widthOf(text(tick)) / 2;
      if (place(tick) - half < end + 6) return false;
      end = place(tick) + half;
      return true;
    });
  }

  function canvas(element, height, label) {
    element.replaceChildren();
    const width = Math.max(240, Math.floor(element.clientWidth));
    const svg = document.createElementNS(kNamespace, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    element.append(svg);
    return { svg, width };
  }

  function horizontalAxis(svg, axis, top, bottom, text) {
    for (const tick of axis.ticks) make(svg, "line", { x1: axis.place(tick), x2: axis.place(tick), y1: top, y2: bottom, class: "grid" });
    for (const tick of spaced(axis.ticks, axis.place, text)) {
      make(svg, "text", { x: axis.place(tick), y: bottom + 17, "text-anchor": "middle" }, text(tick));
    }
  }

  // A name at the left, cut where it has no room.
  function name(svg, text, room, y) {
    let shown = text;
    while (shown.length > 1 && widthOf(`${shown}…`) > room - 8 && widthOf(text) > room - 8) shown = shown.slice(0, -1);
    if (shown !== text) shown += "…";
    const node = make(svg, "text", { x: room - 8, y: y + 4, "text-anchor": "end", class: "name" }, shown);
    if (shown !== text) node.dataset.hint = text;
  }

  function roomForNames(names, width) {
    return Math.min(width * 0.4, Math.max(...names.map(widthOf)) + 12);
  }

  // Lines between lanes, so that an eye finds back to the name.
  function separator(svg, y, width) {
    if (y > 0) make(svg, "line", { x1: 0, x2: width, y1: y, y2: y, class: "grid" });
  }

  function dot(svg, x, y, radius, color, hint, opacity = 1) {
    make(svg, "circle", { cx: x, cy: y, r: radius, fill: color, opacity, class: "mark" }).dataset.hint = hint;
  }

  function whisker(svg, axis, low, high, y, color) {
    make(svg, "line", { x1: axis.place(low), x2: axis.place(high), y1: y, y2: y, stroke: color, "stroke-width": 2, opacity: 0.6 });
  }

  // lanes: [{ name, marks: [{ color, value, low, high, hint }] }]: a lane for each case, a mark with its interval for each engine.
  function dots(element, lanes, { label, text, zero }) {
    const step = 7, height = (lane) => Math.max(20, lane.marks.length * step + 8);
    const total = lanes.reduce((sum, lane) => sum + height(lane), 0);
    const { svg, width } = canvas(element, total + kAxis, label);
    const left = roomForNames(lanes.map((lane) => lane.name), width);
    const values = lanes.flatMap((lane) => lane.marks.flatMap((mark) => [mark.low, mark.value, mark.high]));
    const axis = scale(values, left, width - kRight, { zero });
    horizontalAxis(svg, axis, 0, total, text);
    let top = 0;
    for (const lane of lanes) {
      const middle = top + height(lane) / 2;
      separator(svg, top, width);
      name(svg, lane.name, left, middle);
      lane.marks.forEach((mark, index) => {
        const y = middle + (index - (lane.marks.length - 1) / 2) * step;
        whisker(svg, axis, mark.low, mark.high, y, mark.color);
        dot(svg, axis.place(mark.value), y, 4.5, mark.color, mark.hint);
      });
      top += height(lane);
    }
  }

  // lanes: [{ name, color, median, low, high, samples, hint }]: every sample, the median and its interval.
  function distribution(element, lanes, { label, text }) {
    const height = 34, { svg, width } = canvas(element, lanes.length * height + kAxis, label);
    const left = roomForNames(lanes.map((lane) => lane.name), width);
    const values = lanes.flatMap((lane) => [...lane.samples, lane.low, lane.high]);
    const axis = scale(values, left, width - kRight);
    horizontalAxis(svg, axis, 0, lanes.length * height, text);
    lanes.forEach((lane, index) => {
      const middle = index * height + height / 2;
      separator(svg, index * height, width);
      name(svg, lane.name, left, middle);
      lane.samples.forEach((sample, turn) => {
        // Spread by turn, so that samples that are alike are seen, and the same report always looks the same.
        const y = middle + ((((turn + 1) * 0.618034) % 1) - 0.5) * (height - 14);
        dot(svg, axis.place(sample), y, 3, lane.color, `${lane.name}: ${text(sample)} (sample ${turn + 1})`, 0.55);
      });
      whisker(svg, axis, lane.low, lane.high, middle, lane.color);
      const x = axis.place(lane.median);
      make(svg, "line", { x1: x, x2: x, y1: middle - 12, y2: middle + 12, stroke: lane.color, "stroke-width": 3 }).dataset.hint = lane.hint;
    });
  }

  // The samples of the same lanes in the order they were taken, to zoom into and to read off; only where the build has the plotting library.
  function order(element, lanes, { label, text }) {
    element.replaceChildren();
    if (typeof uPlot === "undefined") return;
    const style = getComputedStyle(document.documentElement), resolve = (color) => style.getPropertyValue(color.slice(4, -1)).trim();
    const [ink, line] = [resolve("var(--ink-soft)"), resolve("var(--line)")];
    const length = Math.max(...lanes.map((lane) => lane.samples.length));
    const values = lanes.flatMap((lane) => lane.samples), least = Math.min(...values);
    const logarithmic = least > 0 && Math.max(...values) / least > 10;
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
    const options = {
      width: element.clientWidth, height: 200,
      scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
      axes: [{ ...axis, label: "sample", labelSize: 18, labelFont: axis.font, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100] }, { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : text(tick))) }],
      series: [{ label: "sample" }, ...lanes.map((lane) => ({
        label: lane.name, stroke: resolve(lane.color), width: 1.5, points: { show: true, size: 5 }, value: (_, value) => (value === null ? "–" : text(value)),
      }))],
    };
    const column = (index) => Array.from({ length }, (_, turn) => lanes[index].samples[turn] ?? null);
    new uPlot(options, [Array.from({ length }, (_, turn) => turn + 1), ...lanes.map((_, index) => column(index))], element);
    element.setAttribute("aria-label", label);
  }

  // series: [{ name, color, points: [{ x, value, low, high, hint }] }].
  function sweep(element, series, { label, text, what }) {
    const height = 240, top = 8, bottom = height - 40, { svg, width } = canvas(element, height, label);
    const values = series.flatMap((each) => each.points.flatMap((point) => [point.low, point.high]));
    const vertical = scale(values, bottom, top, { zero: true });
    const left = Math.max(...vertical.ticks.map((tick) => widthOf(text(tick)))) + 12;
    const horizontal = scale(series.flatMap((each) => each.points.map((point) => point.x)), left, width - kRight);
    for (const tick of vertical.ticks) {
      const y = vertical.place(tick);
      make(svg, "line", { x1: left, x2: width - kRight, y1: y, y2: y, class: "grid" });
      make(svg, "text", { x: left - 6, y: y + 4, "text-anchor": "end" }, text(tick));
    }
    horizontal.ticks = [...new Set(series.flatMap((each) => each.points.map((point) => point.x)))].sort((a, b) => a - b);
    horizontalAxis(svg, horizontal, top, bottom, String);
    make(svg, "text", { x: (left + width - kRight) / 2, y: height - 6, "text-anchor": "middle" }, what);
    for (const { color, points } of series) {
      const path = points.map((point) => `${horizontal.place(point.x)},${vertical.place(point.value)}`).join(" ");
      make(svg, "polyline", { points: path, fill: "none", stroke: color, "stroke-width": 2 });
      for (const point of points) {
        const x = horizontal.place(point.x);
        make(svg, "line", { x1: x, x2: x, y1: vertical.place(point.low), y2: vertical.place(point.high), stroke: color, "stroke-width": 2, opacity: 0.6 });
        dot(svg, x, vertical.place(point.value), 4.5, color, point.hint);
      }
    }
  }

  // lanes: [{ name, color, change, low, high, hint }], parts of what was before; `tolerance` is the band around no change.
  function changes(element, lanes, { label, tolerance }) {
    const height = 20, total = lanes.length * height, { svg, width } = canvas(element, total + kAxis, label);
    const left = roomForNames(lanes.map((lane) => lane.name), width);
    const values = lanes.flatMap((lane) => [lane.low, lane.high]);
    const axis = scale([...values, -1.5 * tolerance, 1.5 * tolerance], left, width - kRight, { log: false, zero: true });
    const fall = 1 / (1 + tolerance) - 1;
    make(svg, "rect", { x: axis.place(fall), width: axis.place(tolerance) - axis.place(fall), y: 0, height: total, class: "band" });
    horizontalAxis(svg, axis, 0, total, (tick) => `${tick > 0 ? "+" : ""}${Math.round(tick * 1000) / 10} %`);
    make(svg, "line", { x1: axis.place(0), x2: axis.place(0), y1: 0, y2: total, class: "zero" });
    lanes.forEach((lane, index) => {
      const y = index * height + height / 2;
      name(svg, lane.name, left, y);
      whisker(svg, axis, lane.low, lane.high, y, lane.color);
      dot(svg, axis.place(lane.change), y, 4.5, lane.color, lane.hint);
    });
  }

  return { dots, distribution, order, sweep, changes };
})();
