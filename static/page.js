// The waiting page's behaviour. It asks when the server said to ask, never stops asking, and enters by itself.
// ES2017 and no storage: laptops of 2018 and Safe Exam Browser run it; nothing is left behind in them.
// The script stands before the body it works on. Should it break, the page is as it is without script (see rescue.js).
(() => {
'use strict';
const d = document, root = d.documentElement, at = id => d.getElementById(id);
root.classList.add('on');
d.addEventListener('DOMContentLoaded', () => {
  try { begin(); } catch (error) { root.classList.remove('on'); throw error; }
});

function begin() {
const body = d.body, words = JSON.parse(at('words').textContent), first = JSON.parse(at('first').textContent);
const lang = root.lang, kept = at('kept'), mode = body.dataset.form, exam = at('exam').textContent;
const locale = ((navigator.languages || []).find(l => l.toLowerCase().split('-')[0] === lang) || lang) + (lang === 'ar' ? '-u-nu-latn' : '');
const MARKS = [1000, 500, 200, 100, 50, 20, 10, 5, 3, 2, 1];
const FORMS = {2: ['one', 'other'], 6: ['zero', 'one', 'two', 'few', 'many', 'other']};
const plural = new Intl.PluralRules(lang);
if (first.pace) body.dataset.status += '&pace=' + first.pace;
const nav = performance.getEntriesByType('navigation')[0], reloaded = !!nav && nav.type === 'reload';
const ANSWER_MS = 15000, LONGEST_MS = 30000, GAP_MS = 1000, STUCK_MS = 20000, NEWS_MS = 4000, SLEPT_MS = 15000;
const RELOADS = 4, RELOADS_MS = 60000;
let state = body.dataset.state, trouble = '', headed = '', shown = null, last = null;
let timer = 0, fails = 0, busy = false, asked = 0, polls = 0, leaving = false, skew = 0, beat = Date.now();
let sent = false, lost = state === 'down' ? 'lostdown' : 'lost', paused = false, best = 0, spoken = 0;
let take = '', newsMs = NEWS_MS, notice = first.message && first.message.text, held = null, audio = null, bell = false;

function t(id, values, n) {
  let m = words[id];
  if (Array.isArray(m)) m = m[FORMS[m.length] ? FORMS[m.length].indexOf(plural.select(n)) : -1] || m[m.length - 1];
  return m.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}
// A node is written only when its words change: assistive technology and selections are left in peace.
function put(id, text) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
  return node;
}
function see(id, yes) { at(id).toggleAttribute('hidden', !yes); }
function say(text) { put('say', text); }

const hm = new Intl.DateTimeFormat(locale, {hour: '2-digit', minute: '2-digit'});
const hms = new Intl.DateTimeFormat(locale, {hour: '2-digit', minute: '2-digit', second: '2-digit'});
const day = new Intl.DateTimeFormat(locale, {weekday: 'long', day: 'numeric', month: 'long', hour: '2-digit', minute: '2-digit'});
function moment(ms) {
  const then = new Date(ms);
  return (then.toDateString() === new Date().toDateString() ? hm : day).format(then);
}
function instants() {
  d.querySelectorAll('time[data-ms]').forEach(node => {
    node.textContent = moment(+node.dataset.ms);
    node.classList.toggle('flap', at('opens').contains(node) && node.textContent.length < 6);
  });
}

// Whole minutes, rounded outwards: the range stays true.
function lasts(eta) {
  const low = Math.floor(eta.low_s / 60), high = Math.max(low + 1, Math.ceil(eta.high_s / 60));
  if (high > 90) {
    const from = Math.floor(eta.low_s / 3600), to = Math.max(from + 1, Math.ceil(eta.high_s / 3600));
    return from ? t('eta.hours', {low: from, high: to}) : t('eta.under_hours', {n: to}, to);
  }
  return low ? t('eta.minutes', {low, high}) : t('eta.under_minutes', {n: high}, high);
}
function between(eta) {
  const minute = 60000, now = Date.now();
  const low = Math.floor((now + eta.low_s * 1000) / minute) * minute;
  const high = Math.max(low + minute, Math.ceil((now + eta.high_s * 1000) / minute) * minute);
  return t('eta.between', {low: hm.format(low), high: hm.format(high)});
}
// The one countdown of the page: to an instant that is fixed, on the server's clock.
function until() {
  const node = d.querySelector('#opens time');
  if (!node || paused || state !== 'lobby') return;
  const left = Math.ceil((node.dataset.ms - Date.now() - skew) / 1000), minutes = Math.ceil(left / 60);
  const clock = {m: Math.floor(left / 60), s: ('0' + left % 60).slice(-2)};
  put('until', left <= 0 ? t('until.now') : left < 600 ? t('until.clock', clock) : left <= 5400 ? t('until.minutes', {n: minutes}, minutes) : '');
}

// Share of a fixed logarithmic rail: the same after a reload, and it never goes back within a page.
function rail(ahead) {
  best = Math.max(best, 1 - Math.min(1, Math.log1p(ahead) / Math.log1p(3000)));
  at('done').setAttribute('width', best * 94 + '%');
  at('train').setAttribute('cx', 2 + best * 93 + '%');
}

// Which words describe the situation. Until the server is known to have answered, nobody may claim that nothing was sent.
function name() {
  if (mode === 'lost') return state === 'admitted' ? 'lostin' : lost;
  return trouble || (state === 'lobby' && shown && shown.opens_at > first.opens_at ? 'postponed' : state);
}
function headline() {
  const now = name(), place = shown && shown.position;
  d.title = (place && state !== 'admitted' ? place + ' · ' : '') + t('state.' + now + '.tab') + (exam ? ' – ' + exam : '');
  body.dataset.state = trouble || state;
  if (now === headed) return false;
  put('h', t('state.' + now + '.h1'));
  put('lead', t('state.' + now + '.lead'));
  if (headed) say(t('state.' + now + '.h1'));
  headed = now;
  return true;
}
function message(now) {
  if (now && now.text !== notice) say(t('say.message') + ' ' + now.text);
  notice = now ? now.text : null;
  see('msg', now);
  if (!now) return;
  put('msgtext', now.text);
  put('msgat', now.at ? moment(Date.parse(now.at)) : '');
}
function opening(now) {
  const node = d.querySelector('#opens time'), ms = Date.parse(now.opens_at);
  if (node && ms && ms !== +node.dataset.ms) {
    node.dataset.ms = ms;
    node.dateTime = now.opens_at;
    instants();
  }
  see('opens', state === 'lobby' && node);
  see('order', state === 'lobby' && node);
}
function line(now) {
  const inLine = ['waiting', 'returning', 'held', 'down'].includes(state) && now.position !== null;
  see('line', inLine);
  see('rail', inLine);
  if (!inLine) return;
  const pos = at('pos');
  if (pos.textContent !== '' + now.position) {
    pos.textContent = now.position;
    pos.classList.remove('turn');
    void pos.offsetWidth;
    pos.classList.add('turn');
  }
  put('ahead', now.ahead ? t('board.people', {n: now.ahead}, now.ahead) : t('board.next'));
  put('eta', now.eta ? between(now.eta) : t('eta.unknown'));
  put('why', now.eta ? lasts(now.eta) : t(state === 'held' ? 'why.held' : state === 'down' ? 'why.down' : 'why.unknown'));
  rail(now.ahead);
}
// One polite sentence at milestones only (WCAG 4.1.3): not at every change.
function milestone(now, before, changed) {
  if (now.position === null) return;
  const band = MARKS.filter(mark => now.position <= mark).length;
  if (before && !changed && band > spoken && state === 'waiting')
    say(t('say.place', {n: now.position}) + (now.eta ? ' ' + t('say.entry', {when: between(now.eta)}) : ''));
  spoken = Math.max(spoken, band);
}
function show(now) {
  put('code', now.code);
  see('coded', now.code);
  if (paused && now.state === state) return;
  // With the store away nobody knows the place: the last one known stays, without an estimate.
  if (now.position !== null) last = now;
  else if (now.stale && last) now = Object.assign({}, now, {position: last.position, ahead: last.ahead});
  const before = shown;
  state = now.state;
  shown = now;
  const changed = headline();
  message(now.message);
  warn(now.stale ? 'warn.stale' : restless && 'warn.reloads');
  opening(now);
  line(now);
  milestone(now, before, changed);
  until();
  // Another page or click of this student has sent the same form: this one sends it again only if they say so.
  if (kept && state === 'sent') {
    leaving = sent = true;
    put('keptnote', t('form.sent'));
    root.classList.add('stuck');
  }
}
function warn(id) {
  if (id) put('warn', t(id));
  see('warn', id);
}
function net(ok, text) {
  at('dot').className = ok ? 'on' : 'off';
  put('net', text);
  if (trouble === 'cookies') return;
  const before = trouble;
  trouble = ok || fails < 2 ? '' : navigator.onLine === false ? 'offline' : 'away';
  if (headline() && before && !trouble) say(t('say.back'));
}
function act(id, work) {
  put('go', t(id)).onclick = work;
  see('act', true);
}

// A signal for those who look elsewhere: heard and shown only after a click that asked for it.
function chime() {
  if (audio) [660, 880, 1320].forEach((hz, nth) => {
    const tone = audio.createOscillator(), gain = audio.createGain(), when = audio.currentTime + nth * .22;
    tone.frequency.value = hz;
    gain.gain.setValueAtTime(.3, when);
    gain.gain.exponentialRampToValueAtTime(.001, when + .25);
    tone.connect(gain).connect(audio.destination);
    tone.start(when);
    tone.stop(when + .25);
  });
}
function ring() {
  chime();
  try {
    if (d.hidden && Notification.permission === 'granted') new Notification(t('state.admitted.h1'), {body: exam, tag: 'waitroom'});
  } catch (error) { /* no notifications here, as in Safe Exam Browser: the sound has to do */ }
}
function toggle(event) {
  event.target.setAttribute('aria-pressed', event.target.getAttribute('aria-pressed') !== 'true');
  return event.target.getAttribute('aria-pressed') === 'true';
}
at('pause').onclick = event => { paused = toggle(event); };
at('bell').onclick = event => {
  bell = toggle(event);
  if (!bell) return;
  if (!audio && window.AudioContext) audio = new AudioContext();
  chime();
  if (window.Notification && Notification.permission === 'default') Notification.requestPermission();
};
see('bell', window.AudioContext);

// The turn has come. A kept form is submitted once in the life of this page, whatever happens to it afterwards;
// prototype.submit, since a field may be called "submit".
function enter() {
  if (leaving) return;
  leaving = true;
  if (mode === 'lost') { act('lost.back', () => history.back()); return; }
  if (bell) ring();
  setTimeout(go, bell ? 900 : 0);  // the chime is heard to its end
}
function go() {
  if (!kept) {
    act('enter.now', load);
    setTimeout(() => { leaving = false; soon(0); }, STUCK_MS);
    load();
  } else if (!sent) {
    sent = true;
    put('keptnote', t('form.sent'));
    HTMLFormElement.prototype.submit.call(kept);
  }
}
// replace() to a URL with a fragment would only scroll.
function load() { if (location.hash) location.reload(); else location.replace(location.href); }

// The page came with a ticket. If the first question after a reload shows none, cookies are not kept here.
function refused() {
  if (mode || (polls === 1 && reloaded)) {
    trouble = 'cookies';
    headline();
    root.classList.add('stuck');
    soon(LONGEST_MS);
  } else {
    leaving = true;
    location.reload();
  }
}
function soon(ms) {
  clearTimeout(timer);
  timer = setTimeout(poll, Math.max(ms, asked + GAP_MS - Date.now()));
}
function get(url, cache) {
  const stop = new AbortController(), limit = setTimeout(() => stop.abort(), ANSWER_MS);
  const end = () => clearTimeout(limit);
  const got = fetch(url, {credentials: 'same-origin', cache, redirect: 'error', headers: {Accept: 'application/json'}, signal: stop.signal});
  got.then(end, end);
  return got;
}
async function poll() {
  if (busy || leaving) return;
  busy = true;
  asked = Date.now();
  polls++;
  let next = LONGEST_MS;
  try {
    const got = await get(body.dataset.status + (d.hidden ? '&hidden=1' : '') + take, 'no-store');
    if (got.status === 401) { refused(); return; }
    if (!got.ok) throw got.status;
    const now = await got.json();
    if (!words['state.' + now.state + '.h1'] && mode !== 'lost') throw now;
    const date = Date.parse(got.headers.get('Date'));
    if (date) skew = date + 500 - Date.now();
    next = now.next_poll_ms > 0 ? now.next_poll_ms : LONGEST_MS;
    fails = 0;
    if (trouble === 'cookies') trouble = '';
    root.classList.remove('stuck');
    net(true, t('net.ok', {time: hms.format(Date.now())}));
    show(now);
    // A ticket or pass that was just taken counts once a question shows that its cookie was kept.
    if (now.state === 'admitted' && !take) enter();
    if (take) asked = next = 0;
    take = '';
  } catch (error) {
    // 2, 4, 8 ... 30 s, each spread by half of itself so that a thousand pages do not come back together.
    next = Math.min(LONGEST_MS, 2000 * 2 ** Math.min(fails++, 4)) * (.75 + Math.random() / 2);
    net(false, t(navigator.onLine === false ? 'net.offline' : 'net.lost'));
  } finally {
    busy = false;
    if (!leaving) soon(next);
  }
}
// What staff say reaches every open page within 5 s, however far apart its polls are: a worker hears it within 1 s, and is
// asked again .95 of newsMs later at most. This asks for something that is the same for all and costs the server next to
// nothing; a poll of a moment ago makes it needless, and is what the next one comes after.
async function news() {
  let ago = Math.abs(Date.now() - asked);
  if (ago > NEWS_MS / 2) ago = 0;
  if (!leaving && !ago) try {
    const got = await get(body.dataset.news, 'no-cache');
    if (got.status === 404) return;
    const told = got.ok && await got.json();
    if (told) {
      if (!paused) message(told.message);
      if (held !== null && held !== told.held) soon(Math.random() * NEWS_MS);
      held = told.held;
      newsMs = told.next_ms || NEWS_MS;
    }
  } catch (error) { /* the polls say what there is to say about the connection */ }
  setTimeout(news, (d.hidden ? 5 : 1) * newsMs * (.75 + Math.random() / 5) - ago);
}
// Reloads are counted in the entry of the history, which survives them: no storage is used. The entry of a form is left
// alone: replaced, it would be a GET at the next reload, and the form gone.
function countReloads() {
  const before = history.state && history.state.reloads || [], now = Date.now();
  const reloads = before.filter(ms => now - ms < RELOADS_MS).concat(reloaded ? now : []);
  if (!mode && (reloaded || before.length)) history.replaceState(reloads.length ? {reloads} : null, '');
  return reloads.length >= RELOADS;
}

d.addEventListener('visibilitychange', () => soon(0));
addEventListener('online', () => soon(0));
addEventListener('offline', () => { fails = Math.max(fails, 2); net(false, t('net.offline')); });
// Brought back from memory: what it shows is old, and a form that was submitted stays submitted.
addEventListener('pageshow', event => {
  if (!event.persisted) return;
  leaving = sent || (mode === 'lost' && state === 'admitted');
  soon(0);
});
setInterval(() => {
  if (Date.now() - beat > SLEPT_MS) soon(0);
  beat = Date.now();
  until();
}, 1000);
instants();
const path = encodeURIComponent(location.pathname + location.search);
d.querySelectorAll('#tongues a').forEach(link => { link.search += '&to=' + path; });
const patience = first.next_poll_ms * (1 + Math.random());
const restless = countReloads();
if (first.code) {
  show(first);
  if (restless) say(t('warn.reloads'));
  // A page that says "down" or "busy" has just knocked at the exam server, and one that came when this one entered was
  // told "not yet": neither asks again at once, so that no fault of ours can turn a thousand pages into a storm of reloads.
  soon(['down', 'busy'].includes(state) || (d.referrer === location.href && !reloaded) ? patience : Math.random() * 1000);
} else if (mode) {
  // A form that another site sent came without our cookies. With them there may be a place or a pass; if not, a ticket.
  take = '&take=1&exam=' + encodeURIComponent(first.exam);
  soon(0);
} else {
  // Without a ticket there is nothing to ask for; but a newcomer whom the server failed is to get in when it is back.
  until();
  see('live', false);
  if (state !== 'closed') setTimeout(load, Math.max(5000, patience));
}
setTimeout(news, NEWS_MS * Math.random());
}
})();
