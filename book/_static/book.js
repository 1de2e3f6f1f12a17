/* What the theme leaves undone, on every page of the book. */

/* A browser refuses a page opened from a disk to read other files, so the search shows
   its results there without excerpts. */
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS === "object") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

/* What scrolls sideways can be reached and scrolled with the keyboard. */
(() => {
  const WIDE =
    ".bd-article pre, .bd-article mjx-container, .bd-article span.math, " +
    ".bd-article table, .bd-article .drawn, " +
    ".bd-article .pst-scrollable-table-container, .bd-article .output";
  const SLACK = 12; // pixels, the air around a formula's last sign: nothing to scroll to
  const PANELS = 650; // pixels: wider figures are of several panels
  const mark = () => {
    for (const formula of document.querySelectorAll(".bd-article span.math")) {
      const wide = formula.scrollWidth > formula.clientWidth + SLACK;
      formula.classList.toggle("scrolls", wide);
    }
    for (const element of document.querySelectorAll(WIDE)) {
      const scrolls =
        element.scrollWidth > element.clientWidth &&
        ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
      if (scrolls) element.tabIndex = 0;
      else if (element.tabIndex === 0) element.removeAttribute("tabindex");
    }
  };
  // Two or three panels would be too small to read on a phone. Most figures have a second
  // drawing for it; others keep most of the width they were drawn with, and scroll.
  const frame = () => {
    for (const image of document.querySelectorAll(".bd-article figure > img")) {
      if (image.naturalWidth < PANELS) continue;
      const frame = document.createElement("div");
      frame.className = "drawn";
      frame.style.setProperty("--drawn", `${image.naturalWidth}px`);
      image.replaceWith(frame);
      frame.append(image);
    }
  };
  let due;
  const later = () => {
    clearTimeout(due);
    due = setTimeout(mark, 100);
  };
  window.addEventListener("load", () => {
    frame();
    mark();
    window.MathJax?.startup?.promise?.then(mark);
    window.addEventListener("resize", later);
    // Folded cells and solutions have no width until they are opened.
    document.addEventListener("toggle", later, true);
    document.addEventListener("click", later);
  });
})();
