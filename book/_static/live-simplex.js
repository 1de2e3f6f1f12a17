/* The triangle of all distributions over three next states. Each policy allows a strip
   about the line of those that give its value the right mean; a polygon is what all the
   strips leave of the triangle. */
(window.live ??= { pictures: {} }).pictures.simplex = (stage, numbers, tools) => {
  const { transition: world, values, discount, most } = numbers;
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const dot = (x, y) => x.reduce((sum, each, i) => sum + each * y[i], 0);
  const residual = (p, v) => discount * (dot(p, v) - dot(world, v));

  /* What of a polygon has side(point) ≤ 0; side is affine, so edges are cut exactly. */
  const cut = (polygon, side) =>
    polygon.flatMap((point, i) => {
      const next = polygon[(i + 1) % polygon.length];
      const [here, there] = [side(point), side(next)];
      const kept = here <= 1e-12 ? [point] : [];
      if ((here < -1e-12 && there > 1e-12) || (here > 1e-12 && there < -1e-12)) {
        const way = here / (here - there);
        kept.push(point.map((x, k) => x + way * (next[k] - x)));
      }
      return kept;
    });
  const left = (asked, epsilon) =>
    asked.reduce(
      (polygon, v) => {
        const below = cut(polygon, (p) => residual(p, v) - epsilon);
        return cut(below, (p) => -residual(p, v) - epsilon);
      },
      corners,
    );
  const area = (polygon) =>
    Math.abs(
      polygon.reduce((sum, p, i) => {
        const q = polygon[(i + 1) % polygon.length];
        return sum + p[0] * q[1] - p[1] * q[0];
      }, 0),
    );
  const elsewhere = (p) => world.reduce((sum, x, i) => sum + Math.abs(p[i] - x), 0) / 2;

  // Where a distribution is drawn, and which one is drawn at a place.
  const [LEFT, RIGHT, BASE, TOP] = [34, 306, 276, 40];
  const middle = (LEFT + RIGHT) / 2;
  const place = (p) => [
    p[0] * LEFT + p[1] * RIGHT + p[2] * middle, BASE + p[2] * (TOP - BASE),
  ];
  const placed = (x, y) => {
    const third = (y - BASE) / (TOP - BASE);
    const second = (x - LEFT - third * (middle - LEFT)) / (RIGHT - LEFT);
    return [1 - second - third, second, third];
  };
  // The nearest distribution, near enough for a hand: negative parts are cut off.
  const legal = (p) => {
    const positive = p.map((x) => Math.max(x, 0));
    const total = positive.reduce((sum, x) => sum + x, 0);
    return positive.map((x) => x / total);
  };
  const points = (polygon) => polygon.map((p) => place(p).join()).join(" ");

  const drawn = tools.drawing(stage, 340, 304, "");
  const { picture } = drawn;
  const draw = (name, attributes, text) =>
    tools.element(picture, `svg:${name}`, attributes, text);
  draw("polygon", { points: points(corners), class: "plain" });
  const strips = values.map((_, i) => draw("polygon", { class: `strip ink-${i + 1}` }));
  const lines = values.map((v, i) =>
    draw("polyline", { points: points(left([v], 0)), class: `line ink-${i + 1}` }),
  );
  const region = draw("polygon", { class: "region" });
  draw("polygon", { points: points(corners), class: "outline" });
  const [x, y] = place(world);
  draw("circle", { cx: x, cy: y, r: 5.5, class: "world" });
  draw("text", { x: x + 10, y: y - 8, class: "halo" }, "world");
  corners.forEach((corner, i) => {
    const [cx, cy] = place(corner);
    const [dy, anchor] = [[18, "start"], [18, "end"], [-10, "middle"]][i];
    const dx = [-26, 26, 0][i];
    draw("text", { x: cx + dx, y: cy + dy, "text-anchor": anchor }, `state ${i + 1}`);
  });
  const name = draw("text", { class: "halo strong", "text-anchor": "middle" }, "model");

  const side = tools.element(stage, "div", { class: "pve-live-side" });
  const rows = tools.element(side, "div", { class: "pve-live-rows" });
  const title = tools.element(rows, "div", { class: "pve-live-row muted" });
  for (const text of ["", "value in 1, 2, 3", "", "residual"]) {
    tools.element(title, "span", {}, text);
  }
  const widest = 1.25 * most; // what is beyond stands at the bar's end
  const across = (amount) =>
    70 + (66 * Math.min(Math.max(amount, -widest), widest)) / widest;
  const policies = values.map((v, i) => {
    const row = tools.element(rows, "div", { class: "pve-live-row" });
    const means = v.map((value) => value.toFixed(1)).join(", ");
    tools.element(row, "span", { class: `ink-${i + 1} name` }, `π${"₁₂₃₄"[i]}`);
    tools.element(row, "span", { class: "muted" }, means);
    const bar = tools.element(row, "svg:svg", {
      viewBox: "0 0 140 20", "aria-hidden": "true",
    });
    const make = (tag, attributes) => tools.element(bar, `svg:${tag}`, attributes);
    make("line", { x1: 4, x2: 136, y1: 10, y2: 10, class: "axis" });
    const band = make("rect", { y: 3, height: 14, class: `strip ink-${i + 1}` });
    make("line", { x1: 70, x2: 70, y1: 2, y2: 18, class: `line ink-${i + 1}` });
    const mark = make("circle", { cy: 10, r: 4.5, class: "mark" });
    const amount = tools.element(row, "span", { class: "said" });
    return { row, band, mark, amount };
  });
  const verdict = tools.element(side, "p", { class: "pve-live-verdict", role: "status" });

  let [shown, epsilon, model] = [numbers.shown, numbers.epsilon, numbers.model];
  const number = (x) => (Math.abs(x) < 5e-4 ? 0 : x).toFixed(2).replace("-", "−");
  const show = () => {
    const asked = values.slice(0, shown);
    const polygon = left(asked, epsilon);
    region.setAttribute("points", points(polygon));
    values.forEach((v, i) => {
      const on = i < shown;
      strips[i].setAttribute("points", on ? points(left([v], epsilon)) : "");
      lines[i].style.display = on ? "" : "none";
      const { row, band, mark, amount } = policies[i];
      const r = residual(model, v);
      row.classList.toggle("off", !on);
      band.setAttribute("x", across(-epsilon));
      band.setAttribute("width", across(epsilon) - across(-epsilon));
      mark.setAttribute("cx", across(r));
      mark.classList.toggle("out", Math.abs(r) > epsilon + 1e-9);
      amount.textContent = number(r);
    });
    const size = area(polygon);
    const far = Math.max(...polygon.map(elsewhere));
    const kind = far < 1e-9 ? "point" : size < 1e-9 ? "segment" : "area";
    const fits = asked.every((v) => Math.abs(residual(model, v)) <= epsilon + 1e-9);
    const share = `${(100 * size).toFixed(size < 0.1 ? 1 : 0)} %`;
    verdict.textContent =
      {
        point: "Left: one point, the world. ",
        segment: "Left: a segment. ",
        area: `Left: ${share} of the triangle. `,
      }[kind] +
      (kind === "point"
        ? ""
        : `Up to ${(100 * far).toFixed(0)} % of the probability may lie elsewhere. `) +
      (fits ? "The model is let through." : "The model is refused.");
    Object.assign(stage.dataset, { kind, area: size, far, fits, model: model.join() });
    const [mx, my] = place(model);
    handle.place(mx, my);
    handle.knob.classList.toggle("out", !fits);
    name.setAttribute("x", Math.min(Math.max(mx, 30), 310));
    name.setAttribute("y", my < 60 ? my + 26 : my - 15);
    handle.knob.setAttribute(
      "aria-label",
      `Model, next states with probabilities ${model.map((p) => p.toFixed(2)).join(", ")};` +
        ` ${fits ? "let through" : "refused"}. Arrow keys move it.`,
    );
    picture.setAttribute(
      "aria-label",
      `Triangle of the distributions over three next states, ${shown} policies asked, ` +
        `residuals of at most ${epsilon.toFixed(2)} allowed. ${verdict.textContent}`,
    );
  };
  const handle = tools.handle(drawn, "", 6, (px, py) => {
    model = legal(placed(px, py));
    show();
  });
  const controls = tools.element(stage, "div", { class: "pve-live-controls" });
  tools.slider(
    controls, "policies asked", { min: 0, max: values.length, step: 1, value: shown },
    String, (to) => { shown = to; show(); },
  );
  tools.slider(
    controls, "allowed residual ε", { min: 0, max: most, step: 0.01, value: epsilon },
    (to) => to.toFixed(2), (to) => { epsilon = to; show(); },
  );
  show();
};
