/* The live pictures: what they share, and how each finds its place in the page.

   A picture is a function of its stage, its numbers (JSON, computed by the library) and
   these tools; its script registers it as window.live.pictures.NAME. Whatever can be
   dragged is a button that arrow keys move, too, and all else is a native control. */
(() => {
  const live = (window.live ??= { pictures: {} });

  /* An element in a parent; svg: names in SVG. */
  const element = (parent, name, attributes = {}, text = "") => {
    const [space, tag] = name.startsWith("svg:")
      ? ["http://www.w3.org/2000/svg", name.slice(4)]
      : ["http://www.w3.org/1999/xhtml", name];
    const made = document.createElementNS(space, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    parent.append(made);
    return made;
  };

  /* A drawing of fixed coordinates that is as wide as its place. */
  const drawing = (parent, width, height, label) => {
    const frame = element(parent, "div", { class: "pve-live-frame" });
    const picture = element(frame, "svg:svg", {
      viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label,
    });
    return { frame, picture, width, height };
  };

  /* A labelled range; `say` puts its value into words, `change` is told of it. */
  const slider = (parent, label, { min, max, step, value }, say, change) => {
    const box = element(parent, "label", { class: "pve-live-slider" });
    const name = element(box, "span", {}, `${label}: `);
    const output = element(name, "span", { class: "said" });
    const input = element(box, "input", {
      type: "range", min, max, step, value, autocomplete: "off",
    });
    const show = () => {
      output.textContent = say(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      show();
      change(Number(input.value));
    });
    show();
    const set = (to) => {
      input.value = to;
      show();
    };
    return { input, set };
  };

  /* A point on a drawing that is dragged, or moved by arrow keys: `moved` is told where
     it is to go, in the drawing's coordinates. */
  const handle = (drawn, label, stride, moved) => {
    const { frame, width, height } = drawn;
    const knob = element(frame, "button", {
      type: "button", class: "pve-live-handle", "aria-label": label,
    });
    let at = [0, 0];
    const place = (x, y) => {
      at = [x, y];
      knob.style.left = `${(100 * x) / width}%`;
      knob.style.top = `${(100 * y) / height}%`;
    };
    const pointed = (event) => {
      const box = drawn.picture.getBoundingClientRect();
      moved(
        ((event.clientX - box.left) / box.width) * width,
        ((event.clientY - box.top) / box.height) * height,
      );
    };
    knob.addEventListener("pointerdown", (event) => {
      knob.setPointerCapture(event.pointerId);
    });
    knob.addEventListener("pointermove", (event) => {
      if (knob.hasPointerCapture(event.pointerId)) pointed(event);
    });
    // A tap elsewhere brings the point there.
    drawn.picture.addEventListener("click", pointed);
    const steps = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    };
    knob.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const far = event.shiftKey ? 5 * stride : stride;
      moved(at[0] + far * step[0], at[1] + far * step[1]);
    });
    return { knob, place };
  };

  /* A button that runs `tick` every so many milliseconds until it says false. */
  const player = (parent, tick, pause, name = "Play") => {
    const button = element(parent, "button", { type: "button", class: "pve-play" }, name);
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = name;
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      button.textContent = "Pause";
      const next = () => tick() === false && stop();
      timer = setInterval(next, pause);
      next();
    });
    return { button, stop };
  };

  const start = () => {
    for (const figure of document.querySelectorAll(".pve-live:not(.playing)")) {
      const picture = live.pictures[figure.dataset.picture];
      if (!picture) continue;
      const stage = document.createElement("div");
      stage.className = "pve-live-stage";
      picture(stage, JSON.parse(figure.dataset.numbers), {
        element, drawing, slider, handle, player,
      });
      figure.prepend(stage);
      figure.classList.add("playing");
    }
  };
  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
})();
