// Charts with drill-down, copy buttons and keyboard help for the admin. No request leaves this machine.
"use strict";

(() => {
  const PALETTE = {
    light: ["#4f46e5", "#0f766e", "#b45309", "#be123c", "#0369a1", "#7c3aed", "#4d7c0f", "#9f1239", "#475569", "#a16207"],
    dark: ["#a5b4fc", "#5eead4", "#fcd34d", "#fda4af", "#7dd3fc", "#c4b5fd", "#bef264", "#f9a8d4", "#cbd5e1", "#fde68a"],
  };
  const charts = new Map();

  const isDark = () => document.documentElement.classList.contains("dark");
  const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  const drillTo = (template, label, series) =>
    template.replaceAll("{label}", encodeURIComponent(label)).replaceAll("{series}", encodeURIComponent(series));

  const options = (config, canvas) => {
    const dark = isDark();
    const text = dark ? "#cbd5e1" : "#475569";
    const grid = dark ? "rgba(148,163,184,.25)" : "rgba(100,116,139,.25)";
    const stacked = config.kind === "stacked";
    const axis = { stacked, ticks: { color: text }, grid: { color: grid } };
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: calm() ? false : { duration: 250 },
      interaction: { mode: "nearest", intersect: config.kind !== "line" },
      scales: {
        x: { ...axis, grid: { display: false }, ticks: { color: text, maxRotation: 0, autoSkipPadding: 12 } },
        y: { ...axis, beginAtZero: true, title: { display: Boolean(config.unit), text: config.unit, color: text } },
      },
      plugins: {
        legend: { display: config.series.length > 1, labels: { color: text, boxWidth: 12 } },
        tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${item.formattedValue} ${config.unit}`.trim() } },
      },
      onHover: (event, found) => {
        event.native.target.style.cursor = config.drill && found.length ? "pointer" : "default";
      },
      onClick: (event, _found, chart) => {
        if (!canvas.dataset.drill) return;
        const [point] = chart.getElementsAtEventForMode(event.native, "nearest", { intersect: true }, true);
        if (!point) return;
        window.location.assign(
          drillTo(canvas.dataset.drill, config.labels[point.index], config.series[point.datasetIndex].label),
        );
      },
    };
  };

  const data = (config) => {
    const colours = PALETTE[isDark() ? "dark" : "light"];
    return {
      labels: config.labels,
      datasets: config.series.map((series, index) => ({
        label: series.label,
        data: series.values,
        backgroundColor: colours[index % colours.length],
        borderColor: colours[index % colours.length],
        borderWidth: config.kind === "line" ? 2 : 0,
        borderDash: config.kind === "line" && index % 2 ? [6, 4] : [],
        pointRadius: config.labels.length > 40 ? 0 : 3,
        maxBarThickness: 42,
        tension: 0.2,
      })),
    };
  };

  const draw = (canvas) => {
    const source = document.getElementById(canvas.dataset.afChart);
    if (!source || typeof Chart === "undefined") return;
    const config = JSON.parse(source.textContent);
    charts.get(canvas)?.destroy();
    const type = config.kind === "line" ? "line" : "bar";
    charts.set(canvas, new Chart(canvas, { type, data: data(config), options: options(config, canvas) }));
  };

  const drawAll = (root) => root.querySelectorAll("canvas[data-af-chart]").forEach(draw);

  const copy = async (button) => {
    const code = button.closest("[data-af-snippet]").querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      window.getSelection().removeAllRanges();
      window.getSelection().addRange(range);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-af-copy]");
    if (button) copy(button);
    // A popover closes when something else is clicked.
    document.querySelectorAll("details.af-popover[open]").forEach((item) => {
      if (!item.contains(event.target)) item.open = false;
    });
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      document.querySelectorAll("details.af-popover[open]").forEach((item) => {
        item.open = false;
        item.querySelector("summary").focus();
      });
    }
    // The theme makes buttons of links without an address: Enter and Space press them.
    const fake = event.target.closest?.("[role=button]:not([href]):not(button)");
    if (fake && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      fake.click();
    }
  });

  const mendTheme = (root) => {
    root.querySelectorAll("a:not([href])").forEach((link) => {
      link.setAttribute("role", "button");
      link.tabIndex = 0;
    });
    root.querySelectorAll("span[x-on\\:click], h2[x-on\\:click], div.cursor-pointer[x-on\\:click]").forEach((item) => {
      item.setAttribute("role", "button");
      item.tabIndex = 0;
      if (item.querySelector(":scope > .material-symbols-outlined") && !item.getAttribute("aria-label")) {
        const words = item.textContent.replace(/[a-z]+_[a-z_]+/g, "").trim();
        if (!words) item.setAttribute("aria-label", "Open or close");
      }
    });
  };

  // Django's two-list selector is built when the page has loaded; its help signs carry a label, so they need a role.
  window.addEventListener("load", () => {
    setTimeout(() => {
      document.querySelectorAll(".help-tooltip[aria-label]").forEach((sign) => sign.setAttribute("role", "img"));
    }, 0);
  });

  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("main")?.setAttribute("role", "main");
    mendTheme(document);
    drawAll(document);
    new MutationObserver(() => charts.forEach((_chart, canvas) => draw(canvas))).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["class"],
    });
  });
  document.addEventListener("htmx:load", (event) => {
    mendTheme(event.target);
    drawAll(event.target);
  });
})();

// The completing field points to its own, empty, text as its name; the label of the field is its name.
const nameCompletingFields = () => {
  document.querySelectorAll(".select2-container [aria-labelledby]").forEach((part) => {
    const select = part.closest(".select2-container").previousElementSibling;
    const name = select?.labels?.[0]?.textContent.replace("*", "").trim();
    if (!name) return;
    [part, ...part.querySelectorAll("[role=textbox]")].forEach((field) => {
      field.removeAttribute("aria-labelledby");
      field.setAttribute("aria-label", name);
    });
  });
};
document.addEventListener("DOMContentLoaded", () => {
  nameCompletingFields();
  new MutationObserver(nameCompletingFields).observe(document.body, { childList: true, subtree: true });
});
