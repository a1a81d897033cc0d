// Draws the figures one after another, so that the page can be read in the meantime.
(() => {
  "use strict";
  const contents = document.getElementById("contents");
  contents.open = matchMedia("(min-width: 75rem)").matches;

  Plotly.setPlotConfig({ logging: 0 }); // otherwise it warns about each number used as a colour
  const config = { displaylogo: false, displayModeBar: false, responsive: true, scrollZoom: false };
  const figures = [...document.querySelectorAll("figure")];
  const draw = async () => {
    for (const figure of figures) {
      const plot = JSON.parse(figure.querySelector("script").textContent);
      plot.layout.dragmode = false; // a finger that scrolls the page must not zoom
      await Plotly.newPlot(figure.querySelector(".plot"), plot.data, plot.layout, config);
      await new Promise((resolve) => setTimeout(resolve));
    }
    document.documentElement.dataset.drawn = figures.length;
  };
  draw();
})();
