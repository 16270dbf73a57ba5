// Sparklines of the outbox: drawn from what the worker sampled, which is asked for again every few seconds while somebody
// looks. The numbers stand in the page without them.
"use strict";
(() => {
  const SECONDS = 5;
  const HEIGHT = 40;
  const drawings = [];

  const draw = (place, column, columns) => {
    const style = getComputedStyle(document.documentElement);
    const stroke = style.getPropertyValue("--accent").trim();
    const plot = new uPlot({
      width: Math.max(place.clientWidth, 40),
      height: HEIGHT,
      padding: [2, 2, 2, 2],
      cursor: { show: false },
      legend: { show: false },
      select: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(high, 1)] } },
      series: [{}, { stroke, width: 1.5, points: { show: columns[0].length === 1 } }],
    }, [columns[0], columns[column]], place);
    drawings.push({ plot, place, column });
  };
  const redraw = (columns) => {
    for (const { plot, column } of drawings) plot.setData([columns[0], columns[column]]);
  };
  const refresh = async (address) => {
    if (document.hidden) return;
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (answer.ok) redraw(await answer.json());
    } catch {
      // The page says by itself that it is not live.
    }
  };
  const start = () => {
    const source = document.querySelector("[data-sparkline-columns]");
    if (!source || typeof uPlot === "undefined") return;
    const columns = JSON.parse(source.dataset.sparklineColumns);
    for (const place of document.querySelectorAll("[data-sparkline]")) draw(place, Number(place.dataset.sparkline), columns);
  };

  start();
  addEventListener("resize", () => {
    for (const { plot, place } of drawings) plot.setSize({ width: Math.max(place.clientWidth, 40), height: HEIGHT });
  });
  setInterval(() => {
    const source = document.querySelector("[data-sparkline-from]");
    if (source) refresh(source.dataset.sparklineFrom);
  }, SECONDS * 1000);
})();
