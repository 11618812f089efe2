"use strict";
(() => {
  const charts = [...document.querySelectorAll(".chart")].map((element) => ({
    element,
    kind: element.dataset.kind,
    plot: element.querySelector(".plot"),
    reading: element.querySelector(".reading"),
    spec: JSON.parse(element.querySelector("script").textContent),
  }));
  const coarse = matchMedia("(pointer: coarse)").matches;
  const choice = { rate: "bpfe", words: "bits per feature element", codec: null };

  const variable = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || "#888888";
  const faded = (hex, share) =>
    `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},${share})`;

  function trace(given) {
    const { meta } = given;
    const color = variable(meta.role);
    const made = {
      ...given,
      line: { ...given.line, color },
      marker: { ...given.marker, color, line: { color, width: 1.5 } },
      hoverlabel: { bordercolor: color },
    };
    if (meta.shade) made.fillcolor = faded(color, 0.13);
    if (meta.x) {
      made.x = meta.x[choice.rate];
      made.visible = made.x !== undefined;
    }
    if (meta.y) made.y = meta.y[choice.codec] ?? given.y;
    return made;
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
    const { data, layout } = chart.spec;
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
    if (chart.kind === "rate") {
      made.xaxis.title.text = choice.words[0].toUpperCase() + choice.words.slice(1);
      made.xaxis.rangemode = "tozero";
    }
    const readings = data.map((each) => each.meta.note?.[choice.codec]).filter(Boolean);
    chart.reading.hidden = readings.length === 0;
    chart.reading.textContent = readings.join(", ");
    Plotly.react(chart.plot, data.map(trace), made, { responsive: true, displayModeBar: false });
  }

  const redraw = (kind) => charts.filter((each) => !kind || each.kind === kind).forEach(draw);

  document.getElementById("rate").addEventListener("change", (event) => {
    choice.rate = event.target.value;
    choice.words = event.target.dataset.words;
    redraw("rate");
  });
  const codec = document.querySelector("#codec select");
  if (codec) {
    choice.codec = codec.value;
    codec.addEventListener("change", () => {
      choice.codec = codec.value;
      redraw("codec");
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
    form.reset();
  }
  for (const form of document.querySelectorAll("form")) form.reset();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  redraw();
})();
