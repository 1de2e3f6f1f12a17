/* Residuals add up: a walker follows a policy through a model and meets the residual of
   each cell on its way. Their discounted sum grows to the error of the value where it
   began. If the model moves by chance the walker is a cloud, each cell's share its
   probability, and the sum is the mean one. */
(window.live ??= { pictures: {} }).pictures.residuals = (stage, numbers, tools) => {
  const { cells, goal, models, discount, epsilon, steps } = numbers;
  const names = Object.keys(models);
  const limit = epsilon / (1 - discount);

  /* The clouds on the way from a cell, and the sums of what was met up to each. */
  const walk = ({ chain, residual }, start) => {
    const clouds = [cells.map((_, i) => Number(i === start))];
    const sums = [0];
    for (let t = 0; t < steps; t += 1) {
      const [here, next] = [clouds[t], cells.map(() => 0)];
      let met = 0;
      here.forEach((share, i) => {
        met += share * residual[i];
        for (const [to, chance] of chain[i]) next[to] += share * chance;
      });
      clouds.push(next);
      sums.push(sums[t] + discount ** t * met);
    }
    return { clouds, sums };
  };

  // The cells lie around a window, in which the sum is drawn.
  const SIDE = 32;
  const columns = 1 + Math.max(...cells.map(([x]) => x));
  const rows = 1 + Math.max(...cells.map(([, y]) => y));
  const centre = (i) => cells[i].map((x) => (x + 0.5) * SIDE);
  const [left, right] = [1.55 * SIDE, (columns - 1.3) * SIDE];
  const [top, bottom] = [1.75 * SIDE, (rows - 1.75) * SIDE];
  const across = (t) => left + ((right - left) * t) / steps;
  const up = (sum) =>
    (top + bottom) / 2 - ((bottom - top) / 2) * (sum / limit);

  const drawn = tools.drawing(stage, columns * SIDE, rows * SIDE, "");
  const draw = (name, attributes, text) =>
    tools.element(drawn.picture, `svg:${name}`, attributes, text);
  const floor = cells.map(([x, y]) =>
    draw("rect", {
      x: x * SIDE + 1, y: y * SIDE + 1, width: SIDE - 2, height: SIDE - 2, rx: 3,
    }),
  );
  const signs = cells.map((_, i) => {
    const [x, y] = centre(i);
    return draw("text", { x: x - 8, y: y - 3, "text-anchor": "middle" });
  });
  const walkers = cells.map((_, i) => {
    const [cx, cy] = centre(i);
    return draw("circle", { cx, cy, r: 0, class: "world" });
  });
  const [gx, gy] = centre(goal);
  draw("text", { x: gx, y: gy + 11, "text-anchor": "middle" }, "goal");

  const flat = (sum, kind) =>
    draw("line", { x1: left, x2: right, y1: up(sum), y2: up(sum), class: kind });
  for (const sum of [limit, -limit]) flat(sum, "dotted");
  flat(0, "axis");
  const label = (sum, text, attributes) =>
    draw("text", { y: up(sum), "dominant-baseline": "central", ...attributes }, text);
  label(limit, "most: ε / (1 − γ)", { x: left, dy: -9, class: "quiet" });
  label(-limit, "−ε / (1 − γ)", { x: left, dy: 10, class: "quiet" });
  label(-limit, `${steps} steps`, {
    x: right, dy: 10, class: "quiet", "text-anchor": "end",
  });
  const future = draw("polyline", { class: "future" });
  const terms = Array.from({ length: steps }, () => draw("line", {}));
  const whole = draw("line", { x1: left, x2: right, class: "dashed" });
  const named = draw("text", { x: right, "text-anchor": "end", class: "halo strong" });
  const tip = draw("circle", { r: 4, class: "world" });

  const side = tools.element(stage, "div", { class: "pve-live-side" });
  const choice = tools.element(side, "fieldset", { class: "pve-live-choice" });
  tools.element(choice, "legend", {}, "the model’s residuals");
  const group = `residuals-${Math.random().toString(36).slice(2)}`;
  names.forEach((name) => {
    const box = tools.element(choice, "label");
    const radio = tools.element(box, "input", { type: "radio", name: group });
    radio.checked = name === numbers.shown;
    radio.autocomplete = "off";
    tools.element(box, "span", {}, name);
    radio.addEventListener("change", () => {
      model = name;
      again();
    });
  });

  let [model, start, step] = [numbers.shown, numbers.start, numbers.step];
  let way = walk(models[model], start);
  const decimals = (x) => x.toFixed(3).replace("-", "−");
  const show = () => {
    const { residual, error } = models[model];
    const { clouds, sums } = way;
    const [cloud, sum] = [clouds[step], sums[step]];
    cells.forEach((_, i) => {
      const size = Math.abs(residual[i]) / epsilon;
      floor[i].setAttribute("class", `floor ink-${residual[i] < 0 ? 1 : 2}`);
      floor[i].style.fillOpacity =
        size < 1e-9 ? 0.06 : 0.06 + 0.3 * size + 0.4 * size * cloud[i];
      signs[i].textContent = size < 0.02 ? "" : residual[i] < 0 ? "−" : "+";
      walkers[i].setAttribute("r", 10 * Math.sqrt(cloud[i]));
    });
    terms.forEach((term, t) => {
      const on = t < step;
      term.style.display = on ? "" : "none";
      if (!on) return;
      const places = [across(t), across(t + 1), up(sums[t]), up(sums[t + 1])];
      ["x1", "x2", "y1", "y2"].forEach((key, k) => term.setAttribute(key, places[k]));
      term.setAttribute("class", `line ink-${sums[t + 1] < sums[t] ? 1 : 2}`);
    });
    future.setAttribute(
      "points", sums.map((each, t) => `${across(t)},${up(each)}`).join(" "),
    );
    const height = up(error[start]);
    whole.setAttribute("y1", height);
    whole.setAttribute("y2", height);
    const below = error[start] < 0 || error[start] > limit / 2;
    named.setAttribute("y", height + (below ? 17 : -9));
    named.textContent = `ṽ − v = ${decimals(error[start])}`;
    tip.setAttribute("cx", across(step));
    tip.setAttribute("cy", up(sum));
    const share = Math.abs(error[start]) / limit;
    verdict.textContent =
      `After ${step} steps the residuals met add up to ${decimals(sum)}. The error of the ` +
      `value, ṽ − v = ${decimals(error[start])}, is ${(100 * share).toFixed(0)} % of ` +
      "the most that residuals up to ε can make.";
    Object.assign(stage.dataset, { model, start, step, sum, error: error[start] });
    handle.place(...centre(start));
    const where = cells[start].map((x) => x + 1).join(", ");
    handle.knob.setAttribute(
      "aria-label", `Start, column and row ${where}. Arrow keys move it along the track.`,
    );
    drawn.picture.setAttribute(
      "aria-label",
      `A walker on a track of ${cells.length} cells, each with the model’s residual, ` +
        `${model}; inside, their discounted sum against time. ${verdict.textContent}`,
    );
  };
  const again = () => {
    way = walk(models[model], start);
    show();
  };
  const handle = tools.handle(drawn, "", SIDE, (x, y) => {
    const far = cells.map((_, i) => {
      const [cx, cy] = centre(i);
      return (cx - x) ** 2 + (cy - y) ** 2;
    });
    start = far.indexOf(Math.min(...far));
    again();
  });
  handle.knob.classList.add("start");
  handle.knob.style.width = `${100 / columns}%`;
  const controls = tools.element(side, "div", { class: "pve-live-controls" });
  const { set } = tools.slider(
    controls, "steps walked", { min: 0, max: steps, step: 1, value: step }, String,
    (to) => { step = to; player.stop(); show(); },
  );
  const player = tools.player(controls, () => {
    step = step >= steps ? 0 : step + 1;
    set(step);
    show();
    return step < steps;
  }, 110);
  const verdict = tools.element(side, "p", { class: "pve-live-verdict" });
  show();
};
