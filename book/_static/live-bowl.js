/* Bowls: a loss over mixtures of the world with two wrong models, a quadratic. Adam moves
   the mixture's logits, as training moves a model's; Newton's step goes to the bottom. */
(window.live ??= { pictures: {} }).pictures.bowl = (stage, numbers, tools) => {
  const { bowls, ways, rate, steps, every } = numbers;
  const names = Object.keys(bowls);
  const times = (Q, w) => Q.map((row) => row[0] * w[0] + row[1] * w[1]);
  const lossOf = (Q, w) => w[0] * times(Q, w)[0] + w[1] * times(Q, w)[1];

  /* Adam on the logits of (world, first way, second way); the mixture at each step. */
  const adam = (Q, start) => {
    let logits = [1 - start[0] - start[1], ...start].map(Math.log);
    let [mean, square] = [[0, 0, 0], [0, 0, 0]];
    const path = [];
    for (let t = 1; t <= steps + 1; t += 1) {
      const largest = Math.max(...logits);
      const raised = logits.map((x) => Math.exp(x - largest));
      const total = raised[0] + raised[1] + raised[2];
      const w = raised.map((x) => x / total);
      path.push([w[1], w[2]]);
      const slope = [0, ...times(Q, [w[1], w[2]]).map((x) => 2 * x)];
      const middle = w.reduce((sum, x, i) => sum + x * slope[i], 0);
      const gradient = w.map((x, i) => x * (slope[i] - middle));
      mean = mean.map((m, i) => 0.9 * m + 0.1 * gradient[i]);
      square = square.map((v, i) => 0.999 * v + 0.001 * gradient[i] ** 2);
      logits = logits.map(
        (x, i) =>
          x - (rate * mean[i]) / (1 - 0.9 ** t) /
            (Math.sqrt(square[i] / (1 - 0.999 ** t)) + 1e-8),
      );
    }
    return path;
  };
  /* Where one Newton step on the quadratic leads. */
  const newton = (Q, w) => {
    const [g, h] = times(Q, w);
    const det = Q[0][0] * Q[1][1] - Q[0][1] * Q[1][0];
    return [
      w[0] - (Q[1][1] * g - Q[0][1] * h) / det,
      w[1] - (Q[0][0] * h - Q[1][0] * g) / det,
    ];
  };

  const [SIZE, LEFT, TOP] = [236, 26, 24];
  const place = ([x, y]) => [LEFT + x * SIZE, TOP + (1 - y) * SIZE];
  const points = (path) => path.map((w) => place(w).join()).join(" ");
  const legal = (w) => {
    const inside = w.map((x) => Math.min(Math.max(x, 0.02), 0.96));
    const over = Math.max(inside[0] + inside[1] - 0.98, 0) / 2;
    return inside.map((x) => Math.max(x - over, 0.02));
  };

  stage.classList.add("pair");
  const number = (x) => x.toPrecision(2).replace(/e-(\d+)/, " · 10⁻$1").replace(
    /⁻(\d+)/, (_, n) => `⁻${[...n].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")}`,
  );
  const panels = names.map((name, which) => {
    const Q = bowls[name];
    const column = tools.element(stage, "div", {});
    const drawn = tools.drawing(column, 290, 296, "");
    const draw = (tag, attributes, text) =>
      tools.element(drawn.picture, `svg:${tag}`, attributes, text);
    const triangle = points([[0, 0], [1, 0], [0, 1]]);
    const clip = `bowl-${which}-${Math.random().toString(36).slice(2)}`;
    const path = draw("clipPath", { id: clip });
    tools.element(path, "svg:polygon", { points: triangle });
    const levels = tools.element(drawn.picture, "svg:g", { "clip-path": `url(#${clip})` });
    // Axes of the ellipses: half the angle whose tangent is 2 b / (a − d).
    const turn = Math.atan2(2 * Q[0][1], Q[0][0] - Q[1][1]) / 2;
    const along = (angle) => lossOf(Q, [Math.cos(angle), Math.sin(angle)]);
    const [cx, cy] = place([0, 0]);
    for (let level = 10 ** 1; level > 1e-7; level /= 10 ** 0.5) {
      const [rx, ry] = [turn, turn + Math.PI / 2].map(
        (angle) => SIZE * Math.sqrt(level / along(angle)),
      );
      if (Math.max(rx, ry) < 6) break;
      if (Math.min(rx, ry) > 6 * SIZE) continue;
      tools.element(levels, "svg:ellipse", {
        cx, cy, rx, ry, class: "level",
        transform: `rotate(${(-turn * 180) / Math.PI} ${cx} ${cy})`,
      });
    }
    draw("polygon", { points: triangle, class: "outline" });
    draw("text", { x: LEFT, y: TOP + SIZE + 19, "text-anchor": "middle" }, "world");
    draw("text", { x: LEFT + SIZE, y: TOP + SIZE + 19, "text-anchor": "middle" }, ways[0]);
    draw("text", { x: LEFT, y: TOP - 9, "text-anchor": "start" }, ways[1]);
    draw("text", { x: LEFT + SIZE, y: TOP + 20, "text-anchor": "end", class: "strong" },
      name);
    const step = draw("line", { class: "dashed ink-1 own" });
    const reached = draw("circle", { r: 5, class: "own ink-1 end" });
    const future = draw("polyline", { class: "future" });
    const walked = draw("polyline", { class: "line ink-2" });
    const beads = draw("g", { class: "ink-2 own end" });
    const tip = draw("circle", { r: 5, class: "own ink-2 end" });
    const began = draw("circle", { r: 4, class: "world" });
    const label = (name, ink, anchor) =>
      draw("text", { class: `halo strong own ${ink}`, "text-anchor": anchor }, name);
    const labels = [label("Adam", "ink-2", "start"), label("Newton", "ink-1", "end")];
    const said = tools.element(column, "p", { class: "pve-live-said" });
    return { Q, name, drawn, step, reached, future, walked, beads, tip, began, labels, said };
  });

  let [start, step] = [numbers.start, numbers.step];
  let paths = [];
  const show = () => {
    const [x, y] = place(start);
    panels.forEach((panel, i) => {
      const [path, bottom] = [paths[i], newton(panel.Q, start)];
      const at = path[step];
      const [bx, by] = place(bottom);
      Object.entries({ x1: x, y1: y, x2: bx, y2: by }).forEach(([key, value]) =>
        panel.step.setAttribute(key, value));
      panel.future.setAttribute("points", points(path));
      panel.walked.setAttribute("points", points(path.slice(0, step + 1)));
      panel.beads.replaceChildren();
      for (let t = every; t < step; t += every) {
        const [cx, cy] = place(path[t]);
        tools.element(panel.beads, "svg:circle", { cx, cy, r: 2.5 });
      }
      for (const [mark, where] of [
        [panel.reached, bottom], [panel.tip, at], [panel.began, start],
      ]) {
        const [cx, cy] = place(where);
        mark.setAttribute("cx", cx);
        mark.setAttribute("cy", cy);
      }
      const early = path[Math.round(0.15 * steps)];
      const half = start.map((x, k) => (x + bottom[k]) / 2);
      [[early, 10, 12], [half, -8, -6]].forEach(([where, dx, dy], k) => {
        const [lx, ly] = place(where);
        panel.labels[k].setAttribute("x", lx + dx);
        panel.labels[k].setAttribute("y", ly + dy);
      });
      const fallen = lossOf(panel.Q, at) / lossOf(panel.Q, start);
      panel.said.textContent =
        `Adam: ${(100 * at[0]).toFixed(0)} % ${ways[0]}, ${(100 * at[1]).toFixed(0)} % ` +
        `${ways[1]}; loss down to ${number(100 * fallen)} % of what it was.`;
      panel.drawn.picture.setAttribute(
        "aria-label",
        `Contours of the loss, ${panel.name}, over mixtures of the world with two wrong ` +
          `models; after ${step} steps ${panel.said.textContent} Newton is at the world.`,
      );
      stage.dataset[`adam${i}`] = at.join();
      stage.dataset[`newton${i}`] = bottom.join();
    });
    Object.assign(stage.dataset, { start: start.join(), step });
    handle.place(x, y);
    handle.knob.setAttribute(
      "aria-label",
      `Start: ${(100 * start[0]).toFixed(0)} % ${ways[0]}, ` +
        `${(100 * start[1]).toFixed(0)} % ${ways[1]}. Arrow keys move it.`,
    );
  };
  const again = () => {
    paths = panels.map(({ Q }) => adam(Q, start));
    show();
  };
  const handle = tools.handle(panels[0].drawn, "", 6, (x, y) => {
    start = legal([(x - LEFT) / SIZE, 1 - (y - TOP) / SIZE]);
    again();
  });
  const controls = tools.element(stage, "div", { class: "pve-live-controls" });
  const stride = Math.max(1, Math.round(steps / 100));
  const { set } = tools.slider(
    controls, "steps of Adam", { min: 0, max: steps, step: stride, value: step }, String,
    (to) => { step = to; player.stop(); show(); },
  );
  const player = tools.player(controls, () => {
    step = step >= steps ? 0 : Math.min(step + stride, steps);
    set(step);
    show();
    return step < steps;
  }, 50);
  again();
};
