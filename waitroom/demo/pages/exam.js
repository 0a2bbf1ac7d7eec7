// The attempt page: a timer, and answers saved a moment after they change.
(() => {
'use strict';
const body = document.body, form = document.getElementById('quiz'), saved = document.getElementById('saved');
const SAVE_AFTER_MS = 1500;
let waiting = 0;

function tick() {
  const left = Math.max(0, Math.floor((body.dataset.endsMs - Date.now()) / 1000));
  document.getElementById('left').textContent = Math.floor(left / 60) + ':' + String(left % 60).padStart(2, '0');
}
async function save() {
  try {
    const answer = await fetch('/mod/quiz/autosave.ajax.php', {
      method: 'POST', body: new URLSearchParams(new FormData(form)), headers: {'X-Requested-With': 'XMLHttpRequest'},
    });
    if (!answer.ok) throw answer.status;
    const said = await answer.json();
    saved.textContent = 'Saved at ' + new Date(said.timems).toLocaleTimeString();
  } catch (error) {
    saved.textContent = 'Not saved yet; trying again';
    waiting = setTimeout(save, 3000);
  }
}
form.addEventListener('change', () => { clearTimeout(waiting); waiting = setTimeout(save, SAVE_AFTER_MS); });
setInterval(tick, 1000);
tick();
})();
