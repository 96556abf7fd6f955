"use strict";

// Draws the dashboard's plots with the Chart.js that unfold ships. The numbers stand in the page as
// JSON; the texts of the tooltips come from the server, so that money is written in one way.

(() => {
    const TONES = {
        light: {
            primary: "--color-primary-600",
            green: "--color-green-600",
            teal: "--color-blue-500",
            orange: "--color-orange-400",
            red: "--color-red-500",
        },
        dark: {
            primary: "--color-primary-400",
            green: "--color-green-500",
            teal: "--color-blue-400",
            orange: "--color-orange-400",
            red: "--color-red-400",
        },
    };
    const root = document.documentElement;
    const charts = [];

    const isDark = () => root.classList.contains("dark");
    const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();
    const tone = (name) => variable(TONES[isDark() ? "dark" : "light"][name]);
    const textColor = () => variable(isDark() ? "--color-base-400" : "--color-base-500");
    const lineColor = () => variable(isDark() ? "--color-base-800" : "--color-base-200");

    const numbers = (currency) =>
        new Intl.NumberFormat("en-US", {
            notation: "compact",
            maximumFractionDigits: 1,
            ...(currency && { style: "currency", currency }),
        });

    const translucent = (color) => `color-mix(in oklab, ${color} 15%, transparent)`;

    const dataset = (series, plot) => {
        const color = tone(series.tone);
        const isLine = plot.kind === "line";
        return {
            label: series.label,
            data: series.values,
            borderColor: color,
            backgroundColor: isLine ? translucent(color) : color,
            borderWidth: isLine ? 2 : 0,
            borderRadius: isLine ? undefined : 3,
            fill: isLine,
            maxBarThickness: plot.horizontal ? 22 : 40,
            pointHitRadius: 12,
            pointRadius: plot.labels.length === 1 ? 4 : 0,
            pointHoverRadius: 4,
            tension: 0,
        };
    };

    const axis = (isOfNumbers, plot) => ({
        stacked: plot.stacked,
        beginAtZero: true,
        border: { display: false },
        grid: { display: isOfNumbers, color: lineColor() },
        ticks: {
            color: textColor(),
            maxRotation: 0,
            autoSkipPadding: 16,
            ...(isOfNumbers && {
                maxTicksLimit: 6,
                callback: (value) => numbers(plot.currency).format(value),
            }),
        },
    });

    const options = (plot) => ({
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        indexAxis: plot.horizontal ? "y" : "x",
        interaction: { mode: "index", axis: plot.horizontal ? "y" : "x", intersect: false },
        scales: { x: axis(plot.horizontal, plot), y: axis(!plot.horizontal, plot) },
        plugins: {
            legend: {
                display: plot.series.length > 1,
                align: "end",
                labels: { color: textColor(), usePointStyle: true, boxHeight: 6, boxWidth: 6 },
            },
            tooltip: {
                callbacks: {
                    label: (item) => {
                        const series = plot.series[item.datasetIndex];
                        return ` ${series.label}: ${series.texts[item.dataIndex]}`;
                    },
                },
            },
        },
        onClick: (event, _items, chart) => {
            const [hit] = chart.getElementsAtEventForMode(
                event, "nearest", { intersect: plot.kind === "bar" }, true,
            );
            const link = hit && plot.series[hit.datasetIndex].links[hit.index];
            if (link) {
                window.location.assign(link);
            }
        },
        onHover: (event, items) => {
            const isLink = items.some((hit) => plot.series[hit.datasetIndex].links[hit.index]);
            event.native.target.style.cursor = isLink ? "pointer" : "default";
        },
    });

    const configuration = (plot) => ({
        type: plot.kind,
        data: {
            labels: plot.labels,
            datasets: plot.series.map((series) => dataset(series, plot)),
        },
        options: options(plot),
    });

    const draw = (canvas) => {
        const plot = JSON.parse(document.getElementById(canvas.dataset.plot).textContent);
        charts.push({ plot, chart: new Chart(canvas, configuration(plot)) });
    };

    const redrawAll = () => {
        for (const { plot, chart } of charts) {
            const { data, options: changed } = configuration(plot);
            chart.data = data;
            chart.options = changed;
            chart.update();
        }
    };

    const submitByItself = (form) => {
        form.classList.add("submits-itself");
        form.addEventListener("change", () => {
            const range = form.querySelector("input[name=range]:checked");
            if (range && range.value !== "custom") {
                form.submit();
            }
        });
    };

    Chart.defaults.font.family = "Inter";
    document.querySelectorAll("canvas[data-plot]").forEach(draw);
    document.querySelectorAll("form[data-submits-itself]").forEach(submitByItself);
    new MutationObserver(redrawAll).observe(root, { attributeFilter: ["class"] });
})();
