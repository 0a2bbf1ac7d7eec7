// The waiting page's behaviour. It asks when the server said to ask, never stops asking, and enters by itself.
// ES2017 and no storage: laptops of 2018 and Safe Exam Browser run it; nothing is left behind in them.
(() => {
'use strict';
const d = document, root = d.documentElement, body = d.body, at = id => d.getElementById(id);
const words = JSON.parse(at('words').textContent), first = JSON.parse(at('first').textContent);
const lang = root.lang, kept = at('kept'), mode = body.dataset.form;
const locale = (navigator.languages || []).find(l => l.toLowerCase().split('-')[0] === lang) || lang;
const MARKS = [1000, 500, 200, 100, 50, 20, 10, 5, 3, 2, 1];
const FORMS = {2: ['one', 'other'], 6: ['zero', 'one', 'two', 'few', 'many', 'other']};
const plural = new Intl.PluralRules(lang);
const nav = performance.getEntriesByType('navigation')[0], reloaded = !!nav && nav.type === 'reload';
const ANSWER_MS = 15000, LONGEST_MS = 30000, GAP_MS = 1000, STUCK_MS = 20000;
let state = body.dataset.state, shown = null, last = null, timer = 0, fails = 0, busy = false, asked = 0, polls = 0, leaving = false;
let sent = false, lost = state === 'down' ? 'lostdown' : 'lost', paused = false, best = 0, spoken = 0, cut = false, skew = 0, notice = first.message && first.message.text;

root.classList.add('on');

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
function see(id, yes) { at(id).hidden = !yes; }
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
    if (at('opens').contains(node) && node.textContent.length < 6) node.className = 'flap';
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
function until() {
  const node = d.querySelector('#opens time'), left = node ? Math.ceil((node.dataset.ms - Date.now() - skew) / 60000) : 0;
  put('until', left > 0 && left <= 90 ? t('until.minutes', {n: left}, left) : left <= 0 && node ? t('until.now') : '');
}

// Share of a fixed logarithmic rail: the same after a reload, and it never goes back within a page.
function rail(ahead) {
  best = Math.max(best, 1 - Math.min(1, Math.log1p(ahead) / Math.log1p(3000)));
  at('done').setAttribute('width', best * 94 + '%');
  at('train').setAttribute('cx', 2 + best * 93 + '%');
}
function title(now) {
  const exam = at('exam').textContent;
  d.title = (now.position && state !== 'admitted' ? now.position + ' · ' : '') + t('state.' + name() + '.tab') + (exam ? ' – ' + exam : '');
}
// Until the server is known to have answered, nobody may claim that nothing was sent.
function name() { return mode === 'lost' ? (state === 'admitted' ? 'lostin' : lost) : state; }

function situation(now) {
  const changed = now.state !== state;
  if (changed) {
    state = body.dataset.state = now.state;
    put('h', t('state.' + name() + '.h1'));
    put('lead', t('state.' + name() + '.lead'));
    say(t('state.' + name() + '.h1'));
  }
  if (now.message && now.message.text !== notice) say(t('say.message') + ' ' + now.message.text);
  notice = now.message ? now.message.text : null;
  see('msg', now.message);
  if (now.message) {
    put('msgtext', now.message.text);
    put('msgat', now.message.at ? moment(Date.parse(now.message.at)) : '');
  }
  see('warn', now.stale);
  put('warn', t('warn.stale'));
  return changed;
}
function line(now) {
  const known = now.position !== null, inLine = ['waiting', 'returning', 'held', 'down'].includes(state) && known;
  see('line', inLine);
  at('rail').toggleAttribute('hidden', !inLine);
  see('opens', state === 'lobby' && d.querySelector('#opens time'));
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
function milestone(now, changed) {
  if (now.position === null) return;
  const band = MARKS.filter(mark => now.position <= mark).length;
  if (shown && !changed && band > spoken && state === 'waiting')
    say(t('say.place', {n: now.position}) + (now.eta ? ' ' + t('say.entry', {when: between(now.eta)}) : ''));
  spoken = Math.max(spoken, band);
}
function show(now) {
  if (paused && now.state === state) return;
  // With the store away nobody knows the place: the last one known stays, without an estimate.
  if (now.position !== null) last = now;
  else if (now.stale && last) now = Object.assign({}, now, {position: last.position, ahead: last.ahead});
  const changed = situation(now);
  line(now);
  milestone(now, changed);
  title(now);
  until();
  shown = now;
}
function net(ok, text) {
  at('dot').className = ok ? 'on' : 'off';
  put('net', text);
  if (!ok && !cut && fails > 1) { cut = true; say(text); }
  if (ok && cut) { cut = false; say(t('say.back')); }
}
function warn(id) {
  put('warn', t(id));
  see('warn', true);
  say(t(id));
}
function act(id, work) {
  put('go', t(id)).onclick = work;
  see('act', true);
}

// The turn has come. A kept form is submitted once in the life of this page, whatever happens to it afterwards;
// prototype.submit, since a field may be called "submit".
function enter() {
  if (mode === 'lost') { leaving = true; act('lost.back', () => history.back()); return; }
  if (kept) {
    leaving = true;
    if (sent) return;
    sent = true;
    put('keptnote', t('form.sent'));
    HTMLFormElement.prototype.submit.call(kept);
    return;
  }
  act('enter.now', load);
  leaving = true;
  setTimeout(() => { leaving = false; soon(0); }, STUCK_MS);
  load();
}
// replace() to a URL with a fragment would only scroll.
function load() { if (location.hash) location.reload(); else location.replace(location.href); }

// The page came with a ticket. If the first question after a reload shows none, cookies are not kept here.
function refused() {
  if (mode || (polls === 1 && reloaded)) {
    warn('warn.cookies');
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
async function poll() {
  if (busy || leaving) return;
  busy = true;
  asked = Date.now();
  polls++;
  const stop = new AbortController(), limit = setTimeout(() => stop.abort(), ANSWER_MS);
  let next = LONGEST_MS;
  try {
    const got = await fetch(body.dataset.status + (d.hidden ? '&hidden=1' : ''), {
      credentials: 'same-origin', cache: 'no-store', redirect: 'error', headers: {Accept: 'application/json'}, signal: stop.signal,
    });
    if (got.status === 401) { refused(); return; }
    if (!got.ok) throw got.status;
    const now = await got.json();
    if (!words['state.' + now.state + '.h1']) throw now;
    const date = Date.parse(got.headers.get('Date'));
    if (date) skew = date - Date.now();
    next = now.next_poll_ms > 0 ? now.next_poll_ms : LONGEST_MS;
    fails = 0;
    root.classList.remove('stuck');
    show(now);
    net(true, t('net.ok', {time: hms.format(Date.now())}));
    if (now.state === 'admitted') enter();
  } catch (error) {
    // 2, 4, 8 ... 30 s, each spread by half of itself so that a thousand pages do not come back together.
    next = Math.min(LONGEST_MS, 2000 * 2 ** Math.min(fails++, 4)) * (.75 + Math.random() / 2);
    net(false, t(navigator.onLine === false ? 'net.offline' : 'net.lost'));
  } finally {
    clearTimeout(limit);
    busy = false;
    if (!leaving) soon(next);
  }
}

at('pause').onclick = event => {
  paused = !paused;
  event.target.setAttribute('aria-pressed', paused);
};
d.addEventListener('visibilitychange', () => soon(0));
addEventListener('online', () => soon(0));
addEventListener('offline', () => net(false, t('net.offline')));
// Brought back from memory: what it shows is old, and a form that was submitted stays submitted.
addEventListener('pageshow', event => {
  if (!event.persisted) return;
  leaving = sent || (mode === 'lost' && state === 'admitted');
  soon(0);
});
setInterval(until, 10000);
instants();
const patience = first.next_poll_ms * (1 + Math.random());
if (first.code) {
  show(first);
  // A page that says "down" has just knocked at the exam server, and one that came when this one entered was told "not
  // yet": neither asks again at once, so that no fault of ours can turn a thousand pages into a storm of reloads.
  soon(state === 'down' || (d.referrer === location.href && !reloaded) ? patience : Math.random() * 1000);
} else {
  // Without a ticket there is nothing to ask for; but a newcomer whom the server failed is to get in when it is back.
  until();
  at('net').parentNode.hidden = true;
  if (state !== 'closed' && !mode) setTimeout(load, Math.max(5000, patience));
}
})();
