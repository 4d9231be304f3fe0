// The faults of the page for people who do not see it, or do not see it well: a list of texts, empty when there are none.
(() => {
  const faults = [];
  const fault = (text, node) => faults.push(text + ": " + (node.outerHTML || node.data).slice(0, 160));
  const all = (selector) => [...document.querySelectorAll(selector)];
  if (document.documentElement.lang !== "en") faults.push("the page has no language");
  if (document.title.trim() === "") faults.push("the page has no title");
  if (all("main").length !== 1 || all("h1").length !== 1) faults.push("the page has not one main and one h1");
  for (const nav of all("nav")) if (!nav.getAttribute("aria-label")) fault("a nav without a name", nav);
  const ids = new Set();
  for (const node of all("[id]")) {
    if (ids.has(node.id)) fault("an id twice", node);
    ids.add(node.id);
  }
  for (const name of ["aria-labelledby", "aria-describedby"]) {
    for (const node of all(`[${name}]`)) {
      for (const id of node.getAttribute(name).split(" ")) if (!ids.has(id)) fault(name + " leads nowhere", node);
    }
  }
  for (const field of all("input:not([type=hidden]), select, textarea")) if (field.labels.length === 0) fault("a field without a label", field);
  for (const button of all("button, a[href]")) {
    if ((button.getAttribute("aria-label") || button.textContent).trim() === "") fault("nothing says what it does", button);
  }
  for (const table of all("table")) if (!table.caption) fault("a table without a caption", table);
  for (const cell of all("th")) if (!cell.scope) fault("a heading cell without a scope", cell);
  for (const image of all("img")) if (image.getAttribute("alt") === null) fault("a picture without a text", image);
  for (const image of all("svg:not([aria-hidden])")) if (image.getAttribute("role") !== "img" || !image.getAttribute("aria-labelledby")) fault("a drawing without a name", image);
  for (const frame of all("iframe")) if (!frame.title) fault("a frame without a title", frame);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) fault("a heading that skips a level", heading);
    level = next;
  }
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} pixels wide on ${window.innerWidth}`);

  // WCAG 2.1, contrast (minimum).
  const channels = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const back = channels(getComputedStyle(node).backgroundColor);
      if (back.length < 4 || back[3] === 1) return back;
      if (back[3] !== 0) fault("a background that is half transparent", node);
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (texts.currentNode.data.trim() === "" || node.closest("script, noscript, option, :disabled, .unseen, .skip") || node.getClientRects().length === 0) continue;
    const style = getComputedStyle(node);
    const front = light(channels(node.closest("svg") ? style.fill : style.color));
    const back = light(behind(node));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) fault(`a contrast of ${ratio.toFixed(2)}`, node);
  }
  return [...new Set(faults)];
})();
