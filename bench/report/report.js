// Builds the page from the data it holds: the machine, what changed, each suite, what others published.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const report = data.report, comparison = data.comparison;
  const kMostChangesDrawn = 60;

  // Engines that many suites have keep their colour throughout; others take what is left, in their order within a suite.
  const kFixedColors = { native: "native", interp: "hue-1", baseline: "hue-2", optimized: "hue-3", auto: "hue-4", "qemu-riscv64": "hue-5", wasm: "hue-6" };
  const kOtherHues = ["hue-7", "hue-8", "hue-6", "hue-1", "hue-2", "hue-3", "hue-4", "hue-5"];

  function element(parent, tag, text, attributes = {}) {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  const distinct = (items, key) => [...new Set(items.map((item) => item[key]))];

  function digits(value) {
    const size = Math.abs(value);
    return size === 0 ? "0" : size >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
  }

  const kScales = {
    ns: [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]],
    bytes: [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "bytes"]],
    "bytes/s": [[1e9, "GB/s"], [1e6, "MB/s"], [1e3, "KB/s"], [1, "bytes/s"]],
  };

  function readable(value, unit) {
    if (unit === "ratio") return `${digits(value)}×`;
    if (unit === "count") return digits(value);
    const scales = kScales[unit] ?? [[1, unit]];
    const [factor, shown] = scales.find(([each]) => Math.abs(value) >= each) ?? scales.at(-1);
    return `${digits(value / factor)} ${shown}`;
  }

  function range(low, high, unit) {
    return low === high ? readable(low, unit) : `${readable(low, unit)} … ${readable(high, unit)}`;
  }

  function hintOf(row) {
    const outliers = row.outliers ? `\n${row.outliers} outliers, ${range(row.min, row.max, row.unit)}` : "";
    return `${row.case}, ${row.engine}\n${readable(row.median, row.unit)} (${range(row.low, row.high, row.unit)}), ${row.runs} samples${outliers}`;
  }

  function colorsOf(rows) {
    const others = [...kOtherHues], colors = new Map();
    for (const engine of distinct(rows, "engine")) colors.set(engine, `var(--${kFixedColors[engine] ?? others.shift() ?? "native"})`);
    return colors;
  }

  // Draws now and whenever the element's width or the page's colours change.
  function chart(parent, draw) {
    const place = element(parent, "div", undefined, { class: "chart" });
    let width = 0;
    new ResizeObserver(() => {
      if (place.clientWidth === width || place.clientWidth === 0) return;
      width = place.clientWidth;
      draw(place);
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => width > 0 && draw(place));
  }

  function legend(parent, names, colors) {
    const list = element(parent, "ul", undefined, { class: "legend" });
    for (const each of names) {
      const item = element(list, "li");
      element(item, "i").style.background = colors.get(each);
      item.append(each);
    }
  }

  function table(parent, header, fill) {
    const node = element(element(parent, "div", undefined, { class: "scroll", tabindex: "0" }), "table");
    const head = element(element(node, "thead"), "tr");
    for (const text of header) element(head, "th", text, { scope: "col" });
    fill(element(node, "tbody"));
  }

  function resultTable(parent, rows) {
    const engines = distinct(rows, "engine");
    table(parent, ["case", ...engines], (body) => {
      for (const name of distinct(rows, "case")) {
        const line = element(body, "tr");
        element(line, "th", name, { scope: "row" });
        for (const engine of engines) {
          const row = rows.find((each) => each.case === name && each.engine === engine);
          const cell = element(line, "td", row ? readable(row.median, row.unit) : "–");
          if (row && row.low !== row.high) element(cell, "small", range(row.low, row.high, row.unit));
        }
      }
    });
  }

  // Rows whose cases, or whose engines, differ by a number alone: "recurse-10", "recurse-100"; "1 thread", "2 threads".
  function sweepsOf(rows) {
    const byCase = /^(.*?)-(\d+)$/, byThreads = /^(\d+) threads?$/;
    const groups = new Map();
    const add = (what, series, x, row) => {
      if (!groups.has(what)) groups.set(what, new Map());
      const lines = groups.get(what);
      if (!lines.has(series)) lines.set(series, []);
      lines.get(series).push({ x, value: row.median, low: row.low, high: row.high, hint: hintOf(row) });
    };
    for (const row of rows) {
      const named = byCase.exec(row.case), threads = byThreads.exec(row.engine);
      if (threads) add("threads", row.case, Number(threads[1]), row);
      else if (named) add(named[1] === "recurse" ? "depth" : named[1], row.engine, Number(named[2]), row);
    }
    for (const [what, lines] of groups) {
      for (const [series, points] of lines) {
        points.sort((one, other) => one.x - other.x);
        if (points.length < 2) lines.delete(series);
      }
      if (lines.size === 0) groups.delete(what);
    }
    return groups;
  }

  function addSweeps(parent, rows, colors) {
    for (const [what, lines] of sweepsOf(rows)) {
      element(parent, "h3", `Over ${what}`);
      const names = [...lines.keys()], own = new Map(names.map((each, index) => [each, colors.get(each) ?? `var(--hue-${(index % 8) + 1})`]));
      legend(parent, names, own);
      const series = names.map((each) => ({ name: each, color: own.get(each), points: lines.get(each) }));
      chart(parent, (place) => charts.sweep(place, series, { label: `${rows[0].suite} over ${what}`, what, text: (value) => readable(value, rows[0].unit) }));
    }
  }

  function addDistributions(parent, rows, colors) {
    const cases = distinct(rows, "case").filter((name) => rows.some((row) => row.case === name && row.samples.length > 1));
    if (cases.length === 0) return;
    const box = element(parent, "details");
    element(box, "summary", "Distributions: every sample, the median and its interval");
    box.addEventListener("toggle", () => {
      if (!box.open || box.dataset.filled) return;
      box.dataset.filled = "yes";
      for (const name of cases) {
        element(box, "h3", name);
        const lanes = rows.filter((row) => row.case === name && row.samples.length > 0).map((row) => ({
          name: row.engine, color: colors.get(row.engine), median: row.median, low: row.low, high: row.high, samples: row.samples, hint: hintOf(row),
        }));
        const text = (value) => readable(value, rows[0].unit);
        chart(box, (place) => charts.distribution(place, lanes, { label: `samples of ${name}`, text }));
        chart(box, (place) => charts.order(place, lanes, { label: `samples of ${name} in their order`, text }));
      }
    });
  }

  const kMetricTitles = {
    time_ns: "Time", ratio_to_native: "Time against native code", rss_bytes: "Memory", first_rss_bytes: "Memory of the first",
    bytes_per_second: "Bytes a second", allocations: "Allocations", code_ratio: "Size of host code against guest code",
    ns_per_gas: "Time for a gas", gas: "Price in gas", times_faster: "Times faster", ratio_to_best_tier: "Time against the best other tier",
  };

  function addMetric(parent, metric, rows, colors) {
    element(parent, "h3", kMetricTitles[metric] ?? metric);
    legend(parent, distinct(rows, "engine"), colors);
    const lanes = distinct(rows, "case").map((name) => ({
      name,
      marks: rows.filter((row) => row.case === name).map((row) => ({ color: colors.get(row.engine), value: row.median, low: row.low, high: row.high, hint: hintOf(row) })),
    }));
    const pair = element(parent, "div", undefined, { class: distinct(rows, "engine").length <= 3 ? "pair narrow" : "pair" });
    chart(pair, (place) => charts.dots(place, lanes, { label: `${rows[0].suite}: ${metric}`, zero: true, text: (value) => readable(value, rows[0].unit) }));
    resultTable(pair, rows);
    // What is the same everywhere, such as no allocations, needs no further chart.
    if (rows.some((row) => row.min !== rows[0].min || row.max !== rows[0].min)) {
      addSweeps(parent, rows, colors);
      addDistributions(parent, rows, colors);
    }
    const notes = [...new Set(rows.filter((row) => row.note).map((row) => row.note))];
    if (notes.length > 0) {
      const box = element(parent, "details");
      element(box, "summary", "Notes");
      for (const note of notes) {
        const where = rows.filter((row) => row.note === note), cases = distinct(where, "case");
        element(box, "p", `${cases.length > 4 ? `${cases.length} cases` : cases.join(", ")}: ${note}`, { class: "soft" });
      }
    }
  }

  function section(title, id) {
    const node = element(document.getElementById("report"), "section", undefined, { id });
    element(node, "h2", title);
    element(document.getElementById("contents"), "a", title, { href: `#${id}` });
    return node;
  }

  function addMachine() {
    const node = section("Machine", "machine"), list = element(node, "dl"), machine = report.machine;
    const facts = [
      ["processor", `${machine.processor}, ${machine.processors} processors`], ["memory", readable(machine.memory_bytes, "bytes")], ["system", machine.system],
      ["compiler", machine.compiler], ["build type", machine.build_type], ["flags of the kernels", machine.kernel_flags], ["further flags of guests", machine.guest_flags],
    ];
    for (const [name, value] of facts) {
      element(list, "dt", name);
      element(list, "dd", value);
    }
    element(node, "p", "Intervals hold the median with 95 % (of fewer than six samples they are all that was measured). Results were checked before they were timed; engines took turns.", { class: "soft" });
  }

  const changeName = (change) => `${change.suite}/${change.case} ${change.engine}${change.metric === "time_ns" ? "" : ` ${change.metric}`}`;
  const percent = (part) => `${part > 0 ? "+" : ""}${(100 * part).toFixed(1)} %`;

  function addComparison() {
    const node = section("Changes", "changes"), all = comparison.changes, changes = all.filter((change) => change.verdict !== "same");
    element(node, "p", `Against version ${comparison.version_before}: ${["worse", "better", "unclear", "same"].map((verdict) => `${all.filter((change) => change.verdict === verdict).length} ${verdict}`).join(", ")}. A change counts where its whole interval is past ${(100 * comparison.tolerance).toFixed(0)} %, the grey band.`);
    const speed = comparison.speed, times = [speed.middle, speed.low, speed.high].map((each) => each.toFixed(2));
    element(node, "p", `Fixed native work took ${times[0]} (${times[1]} … ${times[2]}) times as long as then: times are in relation to it, and their intervals hold what it explains.`, { class: "soft" });
    if (!comparison.same_machine) element(node, "p", `That was on another machine: ${comparison.machine_before.processor}, ${comparison.machine_before.processors} processors, ${comparison.machine_before.system}.`);
    const drawn = (changes.some((change) => change.relative) ? changes : all).filter((change) => change.relative).sort((one, other) => Math.abs(other.change) - Math.abs(one.change)).slice(0, kMostChangesDrawn);
    if (drawn.length > 0) {
      const colors = new Map(["worse", "better", "unclear", "same"].map((verdict) => [verdict, `var(--${verdict === "same" ? "unclear" : verdict})`]));
      legend(node, distinct(drawn, "verdict"), colors);
      const lanes = drawn.map((change) => ({
        name: changeName(change), color: colors.get(change.verdict), change: change.change, low: change.low, high: change.high,
        hint: `${changeName(change)}: ${change.verdict}\n${percent(change.change)} (${percent(change.low)} … ${percent(change.high)})`,
      }));
      chart(node, (place) => charts.changes(place, lanes, { label: "changes with their intervals", tolerance: comparison.tolerance }));
    }
    const box = element(node, "details");
    box.open = changes.length > 0 && changes.length <= 20;
    element(box, "summary", changes.length > 0 ? "Table of the changes" : "Table of all rows");
    table(box, ["row", "before", "now", "change", "verdict", ""], (body) => {
      for (const change of changes.length > 0 ? changes : all) {
        const line = element(body, "tr");
        element(line, "th", changeName(change), { scope: "row" });
        for (const side of [change.before, change.after]) {
          const cell = element(line, "td", readable(side.median, change.unit));
          if (side.low !== side.high) element(cell, "small", range(side.low, side.high, change.unit));
        }
        const cell = element(line, "td", change.relative ? percent(change.change) : "–");
        if (change.relative) element(cell, "small", `${percent(change.low)} … ${percent(change.high)}`);
        element(line, "td", change.verdict, { class: `verdict-${change.verdict}` });
        element(line, "td", change.note, { class: "text" });
      }
    });
    if (comparison.only_before.length > 0) element(node, "p", `Gone: ${comparison.only_before.join("; ")}`, { class: "soft" });
    if (comparison.only_after > 0) element(node, "p", `${comparison.only_after} rows are new.`, { class: "soft" });
  }

  function addSuite(suite) {
    const rows = report.rows.filter((row) => row.suite === suite.name);
    const node = section(suite.name, `suite-${suite.name}`);
    if (suite.summary) element(node, "p", suite.summary, { class: "soft" });
    const colors = colorsOf(rows);
    for (const metric of distinct(rows, "metric")) {
      // Units of one metric could differ between cases; a chart has one.
      const same = rows.filter((row) => row.metric === metric);
      for (const unit of distinct(same, "unit")) addMetric(node, metric, same.filter((row) => row.unit === unit), colors);
    }
    for (const absent of report.absent.filter((each) => each.suite === suite.name)) {
      const text = absent.case ? `${absent.case}, ${absent.engine}: not supported (${absent.reason})` : `${absent.engine}: absent (${absent.reason})`;
      element(node, "p", text, { class: "soft" });
    }
    for (const counters of (report.path_counters ?? []).filter((each) => each.suite === suite.name)) {
      const details = element(node, "details");
      element(details, "summary", `${counters.case}, ${counters.engine}: where the time went`);
      element(details, "pre", counters.text);
    }
  }

  function addReferences() {
    const suites = new Set(report.suite), figures = data.references.figures.filter((figure) => suites.has(figure.suite));
    if (figures.length === 0) return;
    const node = section("Published elsewhere", "references"), sources = data.references.sources, names = distinct(figures, "source");
    element(node, "p", "Figures of others, from their own machines and programs. None of them was measured here, and none is comparable row by row with what was.");
    table(node, ["what", "engine", "figure", "suite", "source"], (body) => {
      for (const figure of figures) {
        const line = element(body, "tr");
        element(line, "td", figure.what, { class: "text" });
        element(line, "td", figure.engine, { class: "text" });
        element(line, "td", range(figure.low, figure.high, figure.unit));
        element(line, "td", figure.suite);
        element(line, "td", `[${names.indexOf(figure.source) + 1}]`);
      }
    });
    names.forEach((name, index) => {
      const source = sources[name], line = element(node, "p", `[${index + 1}] ${source.title}; machine: ${source.machine}; date: ${source.date}`, { class: "soft" });
      if (source.address.startsWith("https://")) {
        line.append("; ");
        element(line, "a", source.address, { href: source.address, rel: "noreferrer" });
      }
    });
  }

  function showHints() {
    const hint = document.getElementById("hint");
    document.addEventListener("pointermove", (event) => {
      const text = event.target instanceof Element ? event.target.dataset?.hint : undefined;
      hint.hidden = text === undefined;
      if (hint.hidden) return;
      hint.textContent = text;
      hint.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 4))}px`;
      hint.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - hint.offsetHeight - 4))}px`;
    });
  }

  document.getElementById("subtitle").textContent = `caisson ${report.version}, ${report.machine.processor}, ${report.rows.length} rows of ${report.suite.length} suites`;
  if (comparison) addComparison();
  for (const suite of data.suites) addSuite(suite);
  addReferences();
  addMachine();
  showHints();
})();
