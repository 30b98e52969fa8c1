// Moments on the plots as on the pages: in UTC, by 24 hours, in the page's language.
import uPlot from "../uplot/uPlot.esm.js";

const language = document.documentElement.lang;
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: "UTC" });
const iso = (stamp) => new Date(stamp * 1000).toISOString();
const DAY = 86400;

// the days and hours that ticks stand at
export const tzDate = (stamp) => uPlot.tzDate(new Date(stamp * 1000), "UTC");
export const moment = (stamp) => `${iso(stamp).slice(0, 10)} ${iso(stamp).slice(11, 16)} UTC`;
// the day stands below the first tick and where another one begins
export const ticks = (_plot, stamps, _axis, _space, step) => stamps.map((stamp, n) => {
  if (step >= DAY) return day.format(stamp * 1000);
  const time = iso(stamp).slice(11, step < 60 ? 19 : 16);
  const begins = n === 0 || Math.floor(stamp / DAY) !== Math.floor(stamps[n - 1] / DAY);
  return begins ? `${time}\n${day.format(stamp * 1000)} UTC` : time;
});
