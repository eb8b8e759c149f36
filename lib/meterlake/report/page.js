// Draw every chart from the JSON beside it, and once more for the paper while printing.
(function () {
  const PAPER = 690; // px, the printable width of A4
  const finger = !window.matchMedia("(pointer: fine)").matches;
  const places = Array.from(document.querySelectorAll("[data-chart]"));

  function draw(place, print) {
    const { data, layout } = JSON.parse(document.getElementById("json-" + place.dataset.chart).textContent);
    const side = place.closest(".three") ? place.closest(".three").children.length : 1;
    const width = print ? PAPER / side - 16 * (side - 1) / side : place.clientWidth;
    if (print) Object.assign(layout, { width: width, autosize: false, height: side > 1 ? 190 : layout.height });
    if (place.dataset.chart === "consumption" && !finger) layout.dragmode = "zoom";
    if (width < 480) layout.font.size = 11;
    for (const flow of data.filter((trace) => trace.type === "sankey")) {
      if (width < 480) flow.node.label = flow.meta.few;
      if (width < 720) flow.textfont.size = 10;
    }
    const config = { displayModeBar: false, responsive: !print, showTips: false, staticPlot: print };
    place.style.height = layout.height + "px";
    Plotly.newPlot(place, data, layout, config);
  }

  places.forEach((place) => draw(place, false));
  function dress(print) {
    places.forEach((place) => draw(place, print));
    document.querySelectorAll("details").forEach((hidden) => { hidden.open = print; });
  }
  window.addEventListener("beforeprint", () => dress(true));
  window.addEventListener("afterprint", () => dress(false));
})();
