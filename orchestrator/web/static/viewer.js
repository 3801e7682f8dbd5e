// The slice viewer: the server draws every picture, this asks for the right one and keeps its neighbours ready.

import { onLetter, writes } from "./page.js";

const AHEAD = 4; // slices kept ready on each side
const KEPT = 80; // pictures kept in memory

const viewer = document.getElementById("viewer");
if (viewer) start(viewer);

function start(viewer) {
  const by = (id) => document.getElementById(id);
  const { source, version } = viewer.dataset;
  const slices = Number(viewer.dataset.slices);
  const names = JSON.parse(viewer.dataset.names);
  const name = (index) => names[index] || `slice ${index + 1}`;
  const best = Number(viewer.dataset.best);
  const [stage, picture, note] = [by("stage"), by("slice"), by("drawing")];
  const spots = [...document.querySelectorAll("[data-spot][data-slice]")];
  const look = { index: Number(viewer.dataset.start), spot: viewer.dataset.spot, map: 0, overlay: true, opacity: 45, centre: null, width: null };
  const pictures = new Map();
  let wanted = "";

  const address = (index) => {
    const query = new URLSearchParams({ v: version, opacity: look.overlay ? look.opacity : 0, outline: look.overlay });
    if (look.centre !== null && look.width !== null) {
      query.set("centre", look.centre);
      query.set("width", look.width);
    }
    if (look.spot) query.set("spot", look.spot);
    if (look.map) query.set("map", look.map);
    return `${source}${index}.png?${query}`;
  };

  /** Return the promise of a decoded picture; the ones used last are kept. */
  const load = (url) => {
    let found = pictures.get(url);
    if (!found) {
      const image = new Image();
      image.src = url;
      found = image.decode().then(() => image);
      found.catch(() => pictures.delete(url));
    }
    pictures.delete(url);
    pictures.set(url, found);
    if (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
    return found;
  };

  // one picture is asked for at a time and the newest wish comes next: a fast wheel must not queue up slices
  let drawing = false;
  const draw = async () => {
    if (drawing) return;
    drawing = true;
    let shown = "";
    while (shown !== wanted) {
      shown = wanted;
      try {
        picture.src = (await load(shown)).src;
      } catch {
        note.textContent = "This picture cannot be drawn.";
      }
    }
    drawing = false;
    for (let step = 1; step <= AHEAD && shown === wanted; step++) {
      for (const near of [look.index + step, look.index - step]) {
        if (near >= 0 && near < slices) await load(address(near)).catch(() => {});
      }
    }
  };

  const show = () => {
    wanted = address(look.index);
    picture.alt = `${name(look.index)}, ${look.index + 1} of ${slices}${look.overlay ? ", with the outlines of the AI result" : ", outlines off"}`;
    if (by("index")) {
      by("index").value = look.index + 1;
      by("index").setAttribute("aria-valuetext", `${name(look.index)}, ${look.index + 1} of ${slices}`);
      by("position").value = `${name(look.index)} (${look.index + 1} / ${slices})`;
    }
    by("overlay").checked = look.overlay;
    for (const link of spots) link.setAttribute("aria-current", link.dataset.spot === look.spot);
    draw();
  };

  const go = (index) => {
    look.index = Math.min(Math.max(index, 0), slices - 1);
    note.textContent = "";
    show();
  };
  const toggle = () => {
    look.overlay = !look.overlay;
    show();
  };

  /** Go to where a finding or measurement is and mark it there; the same one again takes the mark away. */
  const jump = (link, toggles = false) => {
    look.spot = toggles && look.spot === link.dataset.spot ? "" : link.dataset.spot;
    go(Number(link.dataset.slice));
    if (look.spot) note.textContent = `${link.closest("tr").querySelector("th").firstChild.textContent.trim()}: ${name(look.index)}`;
  };

  spotsBy(jump);
  slicesBy(go);
  overlayBy();
  if (by("map")) mapBy(by("map"));
  if (by("centre")) windowBy();
  show();

  function spotsBy(jump) {
    for (const link of spots) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        jump(link, true);
      });
    }
    const step = (by) => {
      if (!spots.length) return;
      const now = spots.findIndex((link) => link.dataset.spot === look.spot);
      jump(spots[now < 0 ? (by > 0 ? 0 : spots.length - 1) : (now + by + spots.length) % spots.length]);
    };
    onLetter("n", () => step(1));
    onLetter("p", () => step(-1));
  }

  function slicesBy(go) {
    by("index")?.addEventListener("input", (event) => go(Number(event.target.value) - 1));
    const links = { previous: () => look.index - 1, next: () => look.index + 1, best: () => best };
    for (const [id, target] of Object.entries(links)) {
      by(id)?.addEventListener("click", (event) => {
        event.preventDefault();
        go(target());
      });
    }
    stage.addEventListener("wheel", (event) => {
      if (event.ctrlKey || slices < 2) return;
      event.preventDefault();
      go(look.index + Math.sign(event.deltaY));
    }, { passive: false });
    const keys = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -slices, End: slices };
    document.addEventListener("keydown", (event) => {
      const used = writes(event.target) || event.target.matches("[type=radio], #opacity, dialog *, summary");
      if (!(event.key in keys) || used || event.ctrlKey || event.altKey || event.metaKey || slices < 2) return;
      event.preventDefault();
      go(look.index + keys[event.key]);
    });
    onLetter("b", () => go(best));
  }

  function overlayBy() {
    by("overlay").addEventListener("change", toggle);
    by("opacity").addEventListener("input", (event) => {
      look.opacity = Number(event.target.value);
      look.overlay = true;
      show();
    });
    onLetter("o", toggle);
    stage.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      toggle();
    });
  }

  function mapBy(choice) {
    const explained = [...document.querySelectorAll(".legend [data-map]")];
    const choose = () => {
      look.map = Number(choice.value);
      for (const entry of explained) entry.hidden = Number(entry.dataset.map) !== look.map;
      show();
    };
    choice.addEventListener("change", choose);
    choose(); // a browser that comes back to the page keeps what was chosen
  }

  function windowBy() {
    const [centre, width, preset] = [by("centre"), by("width"), by("preset")];
    const stored = { centre: Number(viewer.dataset.centre), width: Number(viewer.dataset.width) };
    [centre.placeholder, width.placeholder] = [stored.centre, stored.width];
    const set = (newCentre, newWidth) => {
      look.centre = newCentre;
      look.width = newWidth;
      centre.value = newCentre ?? "";
      width.value = newWidth ?? "";
      if (preset) preset.value = newCentre === null ? "" : [...preset.options].find((each) => each.value === `${newCentre},${newWidth}`)?.value ?? "own";
      show();
    };
    for (const field of [centre, width]) {
      field.addEventListener("change", () => {
        if (centre.value !== "" && width.value !== "" && centre.validity.valid && width.validity.valid) set(Number(centre.value), Number(width.value));
      });
    }
    preset?.addEventListener("change", () => (preset.value ? set(...preset.value.split(",").map(Number)) : set(null, null)));
    by("reset").addEventListener("click", () => set(null, null));
    onLetter("0", () => set(null, null));
    if (preset) {
      [...preset.options].filter((each) => each.value.includes(",")).forEach((each, place) => onLetter(`${place + 1}`, () => set(...each.value.split(",").map(Number))));
    }
    dragBy(stage, () => (look.width === null ? stored : look), set);
  }
}

/** Change the window by dragging: sideways its width, up and down its centre, in steps of its own width. */
function dragBy(stage, current, set) {
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const { centre, width } = current();
    from = { x: event.clientX, y: event.clientY, centre, width };
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const step = from.width / 300;
    const width = Math.max(from.width + (event.clientX - from.x) * step, 1);
    set(Math.round(from.centre + (event.clientY - from.y) * step), Math.round(width));
  });
  for (const ends of ["pointerup", "pointercancel"]) stage.addEventListener(ends, () => (from = null));
}
