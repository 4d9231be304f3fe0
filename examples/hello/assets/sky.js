// A field of drifting lights that shy away from the pointer, and a probe that says whether the preview still answers.
const canvas = document.getElementById("sky");
const paint = canvas.getContext("2d");
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const pointer = { x: -999, y: -999 };
let lights = [];

function resize() {
  canvas.width = innerWidth * devicePixelRatio;
  canvas.height = innerHeight * devicePixelRatio;
  paint.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  lights = Array.from({ length: Math.round(innerWidth / 14) }, () => ({
    x: Math.random() * innerWidth, y: Math.random() * innerHeight,
    r: 1 + Math.random() * 3, vx: (Math.random() - .5) * .4, vy: -.1 - Math.random() * .4, hue: 10 + Math.random() * 50,
  }));
}

function frame() {
  paint.clearRect(0, 0, innerWidth, innerHeight);
  for (const l of lights) {
    const dx = l.x - pointer.x, dy = l.y - pointer.y, d = Math.hypot(dx, dy);
    if (d < 120 && d > 0) { l.x += dx / d * 2; l.y += dy / d * 2; }
    l.x = (l.x + l.vx + innerWidth) % innerWidth;
    l.y = (l.y + l.vy + innerHeight) % innerHeight;
    paint.fillStyle = `hsl(${l.hue} 90% 65% / .7)`;
    paint.beginPath();
    paint.arc(l.x, l.y, l.r, 0, 7);
    paint.fill();
  }
  if (!still) requestAnimationFrame(frame);
}

async function probe() {
  const started = performance.now();
  let up = false;
  try { up = (await fetch(location.href, { method: "HEAD", cache: "no-store" })).ok; } catch { /* gone */ }
  document.getElementById("dot").className = up ? "up" : "down";
  document.getElementById("status").textContent = up
    ? `The sandbox answered in ${Math.round(performance.now() - started)} ms.`
    : "The sandbox is gone.";
}

addEventListener("resize", resize);
addEventListener("pointermove", e => { pointer.x = e.clientX; pointer.y = e.clientY; });
resize();
frame();
probe();
document.getElementById("dot").parentElement.addEventListener("click", probe);
