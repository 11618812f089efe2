"use strict";
(() => {
  const charts = [...document.querySelectorAll(".chart")].map((element) => ({
    element,
    kind: element.dataset.kind,
    plot: element.querySelector(".plot"),
    note: element.querySelector(".note"),
    specs: JSON.parse(element.querySelector("script").textContent),
  }));
  const coarse = matchMedia("(pointer: coarse)").matches;
  // What the reader has chosen, by kind of chart; a chart of another kind has one spec, named "".
  const choice = {};

  const variable = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || "#888888";
  const faded = (hex, share) =>
    `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},${share})`;

  function trace(given) {
    const color = variable(given.meta.ink);
    return {
      ...given,
      line: { ...given.line, color },
      marker: { ...given.marker, color, line: { color, width: 1.5 } },
      hoverlabel: { bordercolor: color },
      fillcolor: faded(color, given.meta.shade ?? 1),
    };
  }

  function axis(given) {
    return {
      ...given,
      title: { ...given?.title, standoff: 8 },
      automargin: true,
      gridcolor: variable("grid"),
      linecolor: variable("line"),
      zeroline: false,
      fixedrange: coarse,
      nticks: 6,
    };
  }

  function draw(chart) {
    const { note, data, layout } = chart.specs[choice[chart.kind] ?? ""];
    const made = {
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 11.5, color: variable("text") },
      margin: { l: 50, r: 12, t: 8, b: 40 },
      showlegend: false,
      hovermode: "closest",
      hoverlabel: { bgcolor: variable("card"), font: { color: variable("text"), size: 12 }, align: "left" },
      dragmode: coarse ? false : "zoom",
    };
    chart.note.hidden = note === "";
    chart.note.textContent = note;
    Plotly.react(chart.plot, data.map(trace), made, { responsive: true, displayModeBar: false });
  }

  const redraw = (kind) => charts.filter((each) => !kind || each.kind === kind).forEach(draw);

  function choose(kind, name) {
    choice[kind] = name;
    for (const legend of document.querySelectorAll(`.legend[data-kind="${kind}"]`))
      legend.hidden = legend.dataset.choice !== name;
  }

  // Browsers keep what was chosen before a reload; the page begins anew.
  for (const form of document.querySelectorAll("form")) form.reset();
  // The id of such a form, and the name of its field, is the kind of chart that it switches.
  for (const form of document.querySelectorAll("form.choice")) {
    const kind = form.id;
    choose(kind, form.elements[kind].value);
    form.addEventListener("change", () => {
      choose(kind, form.elements[kind].value);
      redraw(kind);
    });
  }
  for (const viewer of document.querySelectorAll(".viewer")) {
    const form = viewer.querySelector("form");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      const step = Number(form.elements.step.value);
      const frame = Number(form.elements.frame?.value ?? 0);
      viewer.querySelectorAll(".example").forEach((example, i) => {
        example.classList.toggle("current", i === frame);
        example.querySelectorAll(".step").forEach((each, j) => each.classList.toggle("current", j === step));
      });
      form.querySelector("output").textContent =
        viewer.querySelectorAll(".example.current .step")[step].dataset.codec;
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  redraw();
})();
