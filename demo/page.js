// What the page does by itself: leave a word out, copy the link, and keep the address in step with the answer.
(() => {
  const percent = (share) => (100 * share).toFixed(1) + "%";

  function show(side, shares) {
    side.querySelectorAll(".bars tbody tr").forEach((row, place) => {
      row.querySelector(".track span").style.width = 100 * shares[place] + "%";
      row.querySelector(".share").textContent = percent(shares[place]);
      row.classList.toggle("first", shares[place] === Math.max(...shares));
    });
  }

  function leaveOut(word) {
    const side = word.closest(".side");
    const said = side.querySelector(".whatif");
    const out = word.getAttribute("aria-pressed") !== "true";
    side.querySelectorAll(".word").forEach((other) => other.setAttribute("aria-pressed", "false"));
    word.setAttribute("aria-pressed", String(out));
    show(side, (out ? word.dataset.without : side.dataset.values).split(",").map(Number));
    said.textContent = out ? word.dataset.said + " Click it again to put it back." : "Leave a word out: click it.";
  }

  function field(button, link) {
    let input = button.parentElement.querySelector("input.link");
    if (!input) {
      input = Object.assign(document.createElement("input"), { className: "link", readOnly: true });
      input.setAttribute("aria-label", "Link to this answer");
      button.after(input);
    }
    input.value = link;
    return input;
  }

  function copyFrom(input) {
    input.select();
    return document.execCommand("copy");
  }

  async function copy(button) {
    const link = new URL(button.closest(".answer").dataset.link, location.href).href;
    const before = button.dataset.label ??= button.textContent;
    try {
      await navigator.clipboard.writeText(link);
    } catch { // a frame may forbid it, and plain http has no clipboard
      if (!copyFrom(field(button, link))) return; // the link stands there, marked
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 2000);
  }

  document.addEventListener("click", (event) => {
    const word = event.target.closest(".word[data-without]");
    const button = event.target.closest("button.copy");
    if (word) leaveOut(word);
    if (button) copy(button);
  });

  // What Gradio leaves out for a keyboard or a screen reader.
  function amend() {
    document.querySelectorAll("input.search-input:not([aria-label])").forEach((filter) => {
      filter.setAttribute("aria-label", filter.title);
    });
    document.querySelectorAll(".cm-scroller[tabindex='-1']").forEach((code) => { // it scrolls sideways
      code.tabIndex = 0;
    });
  }

  // Each answer that was asked for gets an entry of the history; going back opens that address again.
  let shown = null;
  const chosen = new URLSearchParams(location.search).get("__theme");
  const theme = chosen ? "&__theme=" + encodeURIComponent(chosen) : "";
  function follow() {
    amend();
    if (document.querySelector("#said .mistake")) document.documentElement.classList.remove("awaiting");
    const answer = document.querySelector(".answer[data-link]");
    const key = answer && answer.dataset.source + answer.dataset.link; // a link may ask what the page opens with
    if (!answer || key === shown) return;
    shown = key;
    if (answer.dataset.source === "page") return;
    document.title = answer.dataset.title;
    document.documentElement.classList.remove("awaiting");
    if (answer.dataset.source === "visitor") history.pushState(null, "", answer.dataset.link + theme);
  }
  window.addEventListener("popstate", () => location.reload());
  // A link's answer comes after the page: until then the page's own first answer is not shown in its place.
  if (new URLSearchParams(location.search).get("headline")) {
    document.documentElement.classList.add("awaiting");
    setTimeout(() => document.documentElement.classList.remove("awaiting"), 8000);
  }
  // Gradio puts a new answer in whole, or changes the attributes of the one that is there.
  new MutationObserver(follow).observe(document, { childList: true, subtree: true, attributeFilter: ["data-link", "data-source"] });
})();
