// Numbers, times and money as people read them.

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const COUNT = new Intl.NumberFormat("en");

export const DASH = "–";

const missing = (value) => value === null || value === undefined || !Number.isFinite(Number(value));

export function count(value) {
  return missing(value) ? DASH : COUNT.format(value);
}

export function loss(value) {
  if (missing(value)) return DASH;
  return Math.abs(value) >= 1000 ? value.toExponential(2) : value.toFixed(Math.abs(value) < 10 ? 4 : 2);
}

/** A round number of an axis, without needless zeros. */
export function tick(value) {
  return String(Number(value.toPrecision(4)));
}

export function percent(share, digits = 1) {
  return missing(share) ? DASH : `${(100 * share).toFixed(digits)} %`;
}

/** A probability: nearly certain is not certain. */
export function probability(share) {
  if (share < 1 && share > 0.9995) return "> 99.9 %";
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  return percent(share);
}

export function money(dollars) {
  if (missing(dollars)) return DASH;
  const digits = dollars !== 0 && Math.abs(dollars) < 0.01 ? 6 : 2;
  return `$${Number(dollars).toFixed(digits)}`;
}

export function milliseconds(value) {
  if (missing(value)) return DASH;
  return value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${value.toFixed(0)} ms` : duration(value / 1000);
}

export function duration(seconds) {
  if (missing(seconds) || seconds < 0) return DASH;
  if (seconds < 10) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** Seconds between two stored times; `end` null means now. */
export function elapsed(start, end) {
  if (!start) return null;
  return Math.max(0, ((end ? Date.parse(end) : Date.now()) - Date.parse(start)) / 1000);
}

export function date(text) {
  return text ? DATE.format(new Date(text)) : DASH;
}

/** A day of the ledger, `2025-12-01`, which is one of UTC. */
export function day(text) {
  return text ? DAY.format(new Date(`${text}T00:00:00Z`)) : DASH;
}

export function clock(text) {
  return text ? CLOCK.format(new Date(text)) : "";
}

export function ago(text) {
  const seconds = elapsed(text, null);
  if (seconds === null) return DASH;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return date(text);
}

export function bytes(value) {
  if (missing(value)) return DASH;
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

/** The end of an id is its random part: enough to tell two apart in a list. */
export function shortId(id) {
  return id ? `…${id.slice(-6)}` : DASH;
}

/** A class's name as it is; a measured number without the noise of its last digits. */
export function label(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value);
}

const STATUS = {
  queued: "Waiting",
  running: "Training",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  trained: "Trained",
  deploying: "Starting",
  deployed: "Deployed",
  retired: "Retired",
};

export function status(name) {
  return STATUS[name] ?? String(name);
}

export const ENDED = new Set(["completed", "failed", "cancelled"]);
