"use strict";
// The gallery of a report: filters, the list of images, one image's card, and what lights up when pointed at.
// Everything that comes from data is set as text; cards were written, and escaped, with the page.
(() => {
  const $ = id => document.getElementById(id);
  const index = JSON.parse($("index").textContent);
  const byNumber = new Map(index.images.map(image => [image.number, image]));
  const fields = ["search", "predicate", "object", "verdict", "show", "order"].map($);
  const [search, predicate, object, verdict, show, order] = fields;
  const list = $("list"), card = $("card"), status = $("status");
  let shown = [], current = null;

  const words = image => [image.id, ...image.failure,
    ...image.objects.map(([name]) => index.objects[name]),
    ...image.triplets.map(([s, p, o]) => `${index.objects[s]} ${index.predicates[p]} ${index.objects[o]}`),
  ].join("\n").toLowerCase();
  for (const image of index.images) image.words = words(image);

  const count = image => [image.matched.at(-1), image.annotated];
  const recall = image => image.annotated ? image.matched.at(-1) / image.annotated : 2;
  const gain = image => image.matched.at(-1) - image.matched[0];
  const wrong = image => image.wrong.at(-1);
  const failed = image => image.failure.some(Boolean);
  const orders = {
    worst: (a, b) => recall(a) - recall(b) || b.annotated - a.annotated,
    best: (a, b) => (recall(b) > 1 ? -1 : recall(b)) - (recall(a) > 1 ? -1 : recall(a)) || b.annotated - a.annotated,
    wrong: (a, b) => wrong(b) - wrong(a),
    gained: (a, b) => gain(b) - gain(a),
    lost: (a, b) => gain(a) - gain(b),
    id: () => 0,
  };

  // Options with the number of images that have them, the most frequent first.
  const fill = (select, labels, of) => {
    const counts = labels.map(() => 0);
    for (const image of index.images) for (const label of new Set(of(image))) counts[label]++;
    const ranked = labels.map((label, i) => [counts[i], label, i]).filter(([n]) => n)
      .sort((a, b) => b[0] - a[0] || (a[1] < b[1] ? -1 : 1));
    for (const [n, label, i] of ranked) select.add(new Option(`${label} (${n})`, i));
  };
  fill(predicate, index.predicates, image => image.triplets.map(t => t[1]));
  fill(object, index.objects, image => [...image.objects.map(o => o[0]), ...image.triplets.flatMap(t => [t[0], t[2]])]);

  const isShown = image => {
    const wanted = show.value;
    if (wanted === "failed" && !failed(image)) return false;
    if (wanted === "read" && failed(image)) return false;
    if (wanted === "repaired" && !image.repaired) return false;
    if (wanted.startsWith("why:") && image.why !== wanted.slice(4)) return false;
    if (wanted.startsWith("cause:") && !image.failure.includes(wanted.slice(6))) return false;
    const [p, o] = [predicate.value, object.value].map(v => v === "" ? null : +v);
    const v = verdict.value === "" ? null : index.verdicts.indexOf(verdict.value);
    const hasTriplet = image.triplets.some(t => (p === null || t[1] === p)
      && (o === null || t[0] === o || t[2] === o) && (v === null || t[3] === v));
    const hasObject = p === null && o !== null && image.objects.some(t => t[0] === o && (v === null || t[1] === v));
    if ((p !== null || o !== null || v !== null) && !hasTriplet && !hasObject) return false;
    return search.value.toLowerCase().split(/\s+/).every(word => image.words.includes(word));
  };

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const described = image => {
    if (image.matched.length === 1 && failed(image)) return ["wrong", `✗ ${image.failure[0]}`];
    const [matched, annotated] = count(image);
    if (image.matched.length === 1) return ["", `✓ ${matched}/${annotated} · ✗ ${wrong(image)}`];
    const change = gain(image);
    const sign = change > 0 ? `▲ +${change}` : change < 0 ? `▼ −${-change}` : "= 0";
    return [change > 0 ? "matched" : change < 0 ? "wrong" : "", `${sign} · ${image.matched.join(" → ")} of ${annotated}`];
  };

  const item = image => {
    const entry = element("li"), button = element("button", "item");
    button.type = "button";
    button.tabIndex = -1;
    button.dataset.number = image.number;
    const [kind, text] = described(image);
    button.append(element("span", "id", image.id), element("span", `counts ${kind}`, text));
    entry.append(button);
    return entry;
  };
  const buttonOf = number => list.querySelector(`[data-number="${number}"]`);

  // Of thousands of images the list holds those that were scrolled to.
  const STRETCH = 200;
  const listUpTo = place => {
    const from = list.childElementCount;
    if (place >= from) list.append(...shown.slice(from, place + STRETCH).map(item));
  };
  list.addEventListener("scroll", () => {
    if (list.scrollTop + 2 * list.clientHeight > list.scrollHeight) listUpTo(list.childElementCount);
  });
  const placeOf = number => shown.findIndex(image => image.number === number);

  const filter = () => {
    shown = index.images.filter(isShown).sort(orders[order.value]);
    list.replaceChildren();
    status.textContent = `${shown.length} of ${index.images.length} images`;
    $("none").hidden = shown.length > 0;
    const first = shown[0] ? shown[0].number : null;
    list.scrollTop = 0;
    select(placeOf(current) >= 0 ? current : first, false);
  };

  // Cards lie in the page as templates, or beside it as scripts that call `r1sggCard`.
  const fragments = new Map();
  window.r1sggCard = (number, html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    fragments.set(number, template.content);
    if (number === current) display();
  };
  const load = number => {
    if (fragments.has(number)) return;
    const template = $(`card-${number}`);
    if (template) { fragments.set(number, template.content); return; }
    const script = document.createElement("script");
    script.src = `cards/${number}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      if (number === current) card.replaceChildren(element("p", "note", `${script.getAttribute("src")} cannot be read: keep this page in its folder.`));
    };
    document.head.append(script);
  };

  const display = () => {
    const content = fragments.get(current);
    if (!content) return;
    card.replaceChildren(content.cloneNode(true));
    card.classList.remove("pointing");
    card.dataset.number = current;
    $("place").textContent = `${placeOf(current) + 1} of ${shown.length}`;
  };

  const select = (number, reveal = true) => {
    for (const button of list.querySelectorAll("[aria-current]")) {
      button.removeAttribute("aria-current");
      button.tabIndex = -1;
    }
    current = number;
    $("steps").hidden = number === null;
    if (number === null) { card.replaceChildren(); return; }
    listUpTo(placeOf(number));
    const button = buttonOf(number), hadFocus = list.contains(document.activeElement);
    button.setAttribute("aria-current", "true");
    button.tabIndex = 0;
    if (reveal) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    else list.scrollTop = Math.max(0, button.offsetTop - list.clientHeight / 2);
    if (hadFocus) button.focus({ preventScroll: true });
    load(number);
    display();
  };

  const step = by => {
    const place = placeOf(current) + by;
    if (place < 0 || place >= shown.length) return;
    select(shown[place].number);
    for (const near of [place + by, place + 2 * by]) if (shown[near]) load(shown[near].number);
    const top = $("browser").getBoundingClientRect();
    if (top.bottom < 80 || top.top > innerHeight - 80) $("browser").scrollIntoView();
  };

  const toggleAnswers = () => {
    const answers = [...card.querySelectorAll("details.answer")];
    const open = answers.some(answer => !answer.open);
    for (const answer of answers) answer.open = open;
    if (open && answers.length) {
      const text = answers[0].querySelector("pre");
      text.focus({ preventScroll: true });
      text.scrollIntoView({ block: "nearest" });
    } else if (current !== null) buttonOf(current).focus({ preventScroll: true });
  };

  const light = part => {
    card.classList.toggle("pointing", Boolean(part));
    if (!part) return;
    const parts = [...card.querySelectorAll("[data-o], [data-l]")];
    const links = new Set(), ends = new Set();
    if (part.dataset.l !== undefined) links.add(part.dataset.l);
    else {
      ends.add(part.dataset.o);
      for (const { dataset: { l } } of parts) if (l !== undefined && l.split(">").includes(part.dataset.o)) links.add(l);
    }
    for (const link of links) for (const end of link.split(">")) ends.add(end);
    for (const one of parts) one.classList.toggle("lit", one.dataset.o !== undefined ? ends.has(one.dataset.o) : links.has(one.dataset.l));
  };
  const linked = event => event.target.closest("[data-o], [data-l]");
  card.addEventListener("pointerover", event => light(linked(event)));
  card.addEventListener("pointerleave", () => light(null));
  card.addEventListener("focusin", event => light(linked(event)));
  card.addEventListener("focusout", () => light(null));

  list.addEventListener("click", event => {
    const button = event.target.closest("[data-number]");
    if (button) select(+button.dataset.number);
  });
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("filters").addEventListener("submit", event => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filter));
  for (const field of fields) field.addEventListener("input", filter);

  // A predicate of the chart or its table, or a cause of failure, becomes a filter.
  document.addEventListener("click", event => {
    const link = event.target.closest("[data-predicate], [data-cause]");
    if (!link) return;
    $("filters").reset();  // at once, unlike a click on its button
    if (link.dataset.cause !== undefined) show.value = link.dataset.cause ? `cause:${link.dataset.cause}` : "failed";
    else predicate.value = String(index.predicates.indexOf(link.dataset.predicate));
    if (predicate.selectedIndex < 0) predicate.value = "";
    filter();
    $("gallery").scrollIntoView();
    if (current !== null) buttonOf(current).focus({ preventScroll: true });
  });

  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (target.matches("input, select, textarea")) {
      if (key === "Escape" && current !== null) buttonOf(current).focus();
      return;
    }
    const inList = list.contains(target), scrolls = target.closest(".scroll, pre");
    const by = { j: 1, k: -1 }[key] || (!scrolls && { ArrowRight: 1, ArrowLeft: -1 }[key]) || (inList && { ArrowDown: 1, ArrowUp: -1 }[key]);
    if (by) step(by);
    else if (inList && (key === "Home" || key === "End") && shown.length) select(shown.at(key === "Home" ? 0 : -1).number);
    else if (key === "/") { search.focus(); search.select(); }
    else if (key === "Enter" && (inList || target === document.body)) toggleAnswers();
    else if (key === "Escape" && card.querySelector("details.answer[open]")) toggleAnswers();
    else return;
    event.preventDefault();
  });

  $("browser").hidden = false;
  filter();
})();
