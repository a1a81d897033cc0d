// Draws the figures one after another, so that the page can be read meanwhile.
(() => {
  "use strict";
  const contents = document.getElementById("contents");
  contents.open = matchMedia("(min-width: 75rem)").matches;

  Plotly.setPlotConfig({ logging: 0 }); // it warns of each number that stands for a colour
  const config = { displaylogo: false, displayModeBar: false, responsive: true, scrollZoom: false };
  const figures = [...document.querySelectorAll("figure")];
  const draw = async () => {
    for (const figure of figures) {
      const made = JSON.parse(figure.querySelector("script").textContent);
      made.layout.dragmode = false; // a finger that moves down the page shall not zoom
      await Plotly.newPlot(figure.querySelector(".plot"), made.data, made.layout, config);
      await new Promise((resolve) => setTimeout(resolve));
    }
    document.documentElement.dataset.drawn = figures.length;
  };
  draw();
})();
