// Draws each canvas that carries a chart of lines. The figures stand in a table on the same page.
const colours = ['#005eb8', '#7c2855', '#007f3b'];

for (const canvas of document.querySelectorAll('canvas[data-lines]')) {
  const { labels, lines } = JSON.parse(canvas.dataset.lines);
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  new Chart(canvas, {
    type: 'line',
    data: {
      labels,
      datasets: lines.map((line, i) => ({
        label: line.title,
        data: line.values,
        borderColor: colours[i % colours.length],
        backgroundColor: colours[i % colours.length],
        borderDash: line.dashed ? [6, 4] : [],
        borderWidth: 2.5,
        pointStyle: line.dashed ? 'rect' : 'circle',
        pointRadius: 3,
        spanGaps: false,
        clip: 8,
      })),
    },
    options: {
      animation: still ? false : { duration: 250 },
      maintainAspectRatio: false,
      interaction: { mode: 'index', intersect: false },
      scales: {
        y: { min: 0, max: 100, ticks: { callback: (value) => `${value}%` } },
        x: { ticks: { maxRotation: 45, autoSkip: true } },
      },
      plugins: {
        legend: { position: 'bottom', labels: { usePointStyle: true, boxHeight: 8, font: { size: 14 } } },
        tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${item.parsed.y === null ? '--' : item.parsed.y.toFixed(1) + '%'}` } },
      },
    },
  });
}
