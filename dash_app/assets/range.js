/* Which time is looked at? One range for all pages that show history, in the address: `?range=6h`, or `?since=&until=` (UTC). Without
   either a page begins with its own (dash_app/pages/places.py). What was chosen goes along from page to page.

   get()      { word, label, minutes, since, until }: minutes is null for "all"; since and until (ms) only of a range from - to
   within()   what the API is asked with: { minutes } or { minutes, until }
   since()    where it begins (ms), null for "all"; the same until the address changes, so that a list keeps its filter
   ends()     { start, end } of a chart (ms); one that ends now moves in steps too small to be seen
   The window's event "tidegate-range" says that it has changed. */
(function () {
  "use strict";
  const CHOICES = [["15m", "15 min", 15], ["1h", "1 h", 60], ["6h", "6 h", 360], ["24h", "24 h", 1440], ["7d", "7 d", 10080], ["30d", "30 d", 43200], ["all", "All", null]];
  const NAMES = ["range", "since", "until"];
  const address = window.tidegate.address;
  const place = () => address.here().place;
  const begins = () => (place() || {}).range || "";
  const choices = () => CHOICES.filter(([word]) => word !== "all" || begins() === "all");

  /* A day is its beginning; a time without a zone is UTC. */
  function moment(text) {
    const written = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : /(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text.replace(" ", "T")}Z`;
    return Date.parse(written);
  }
  /* The year is said where it is another one. */
  const short = (at) => {
    const written = new Date(at).toISOString().slice(0, 16).replace("T", " "), year = new Date(window.tidegate.hubNow()).toISOString().slice(0, 5);
    return written.startsWith(year) ? written.slice(5) : written;
  };
  function label(since, until) {
    const [from, to] = [short(since), short(until)];
    return `${from} \u2013 ${from.slice(0, -6) === to.slice(0, -6) ? to.slice(-5) : to}`;
  }
  function get() {
    const since = moment(address.get("since")), until = moment(address.get("until"));
    if (since < until) return { word: "", label: label(since, until), minutes: (until - since) / 60000, since, until };
    const asked = choices().find(([word]) => word === address.get("range")) || CHOICES.find(([word]) => word === (begins() || "1h"));
    return { word: asked[0], label: asked[1], minutes: asked[2], since: null, until: null };
  }
  function within() {
    const { minutes, until } = get();
    return until === null ? { minutes } : { minutes, until: new Date(until).toISOString() };
  }
  let anchor = { of: null, at: 0 };
  function since() {
    const { minutes, since: from } = get();
    if (from !== null || minutes === null) return from;
    if (anchor.of !== location.href) anchor = { of: location.href, at: window.tidegate.hubNow() };
    return anchor.at - minutes * 60000;
  }
  function ends() {
    const { minutes, since: from, until } = get();
    if (until !== null) return { start: from, end: until };
    const step = Math.max(5000, minutes * 60000 / 360), end = Math.ceil(window.tidegate.hubNow() / step) * step;
    return { start: end - minutes * 60000, end };
  }
  function set(chosen) {
    address.set({ range: "", since: "", until: "", ...chosen }, { isStep: true });
  }

  /* What was chosen goes along: a link to another page with history says nothing of it. */
  let carried = {}, shown = {};
  const written = () => Object.fromEntries(NAMES.map((name) => [name, address.get(name)]).filter(([, value]) => value));
  address.onArrival(() => { if (begins() && !Object.keys(written()).length) address.set(carried); });
  function follow() {
    if (begins()) carried = written();
    const { word, label: text } = get(), before = shown;
    shown = { place: place(), word, text };
    /* Another page draws itself when it has come. */
    if (before.place === shown.place && (before.word !== word || before.text !== text)) window.dispatchEvent(new CustomEvent("tidegate-range"));
  }
  window.tidegate.whenShown(() => { address.onChange(follow); follow(); });

  window.tidegate.range = { choices, get, set, within, since, ends, moment, isThere: () => Boolean(begins()) };
})();
