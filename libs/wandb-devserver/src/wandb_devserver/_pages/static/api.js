// Data of the server, once or again and again.

const QUICK = 2000;
const SLOW = 15000;

/** Return JSON of the server; a session that ended leads to the sign-in page. */
export async function load(url, parameters = {}) {
  return JSON.parse(await loadText(url, parameters));
}

async function loadText(url, parameters) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    for (const item of [value].flat()) if (item !== undefined && item !== "") query.append(key, item);
  }
  const response = await fetch(query.size ? `${url}?${query}` : url);
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Error(`The server returned ${response.status} for ${url}`);
  return response.text();
}

/**
 * Call `show` with the data of `url` now and whenever it changes, without overlap, while the page is visible.
 * `isLive(data)` decides how soon to look again; `parameters()` returns the current query.
 */
export function watch(url, show, { isLive = () => true, parameters = () => ({}) } = {}) {
  let last = null;
  let timer = null;
  let running = null;
  const status = document.createElement("p");
  status.className = "problem lost";
  status.setAttribute("role", "status");
  document.body.append(status);

  async function look() {
    try {
      const text = await loadText(url, parameters());
      status.textContent = "";
      if (text === last?.text) return;
      last = { text, data: JSON.parse(text) };
      await show(last.data);
    } catch (error) {
      status.textContent = `The page is not up to date: ${error.message}`;
    }
  }

  function refresh() {
    clearTimeout(timer);
    running = (running ?? Promise.resolve()).then(look).then(() => {
      clearTimeout(timer);
      if (!document.hidden) timer = setTimeout(refresh, !last || isLive(last.data) ? QUICK : SLOW);
    });
    return running;
  }

  document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : refresh());
  refresh();
  return refresh;
}
