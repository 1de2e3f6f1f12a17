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
    ".bd-article table, " +
    ".bd-article .pst-scrollable-table-container, .bd-article .output";
  const SLACK = 12; // pixels, the air around a formula's last sign: nothing to scroll to
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
  let due;
  const later = () => {
    clearTimeout(due);
    due = setTimeout(mark, 100);
  };
  window.addEventListener("load", () => {
    mark();
    window.MathJax?.startup?.promise?.then(mark);
    window.addEventListener("resize", later);
    // Folded cells and solutions have no width until they are opened.
    document.addEventListener("toggle", later, true);
    document.addEventListener("click", later);
  });
})();
