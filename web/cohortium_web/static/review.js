// Saves a review while it is typed, and says so. Without this file the form's own buttons save and complete it.
// Not by htmx: a saving that fails is tried again until it succeeds, with a fresh token after signing in anew.
const form = document.getElementById('review');
const said = document.getElementById('saved');
const WAIT = 1000;
const LONGEST = 5000;
const AGAIN = 4000;
let dirty = false, saving = null, timer = 0, since = 0, going = false;

const say = (words, wrong = false) => {
  said.textContent = words;
  said.dataset.state = wrong ? 'wrong' : '';
};

// What an answer asks for is shown at once, as the server says.
const show = (shown, wrong) => {
  for (const item of form.querySelectorAll('[data-item]')) {
    item.toggleAttribute('data-off', !shown.includes(item.dataset.item));
    const message = document.getElementById(`wrong-${item.dataset.item}`);
    if (!message) continue;
    const words = wrong[item.dataset.item] ?? '';
    message.hidden = !words;
    message.querySelector('[data-wrong]').textContent = words;
    item.classList.toggle('nhsuk-form-group--error', Boolean(words));
  }
};

const numbered = (number) => {
  for (const field of document.querySelectorAll('input[name="number"]')) field.value = number;
};

// After signing in anew in another tab the page's token is stale: the form's own page has a good one.
const renewToken = async () => {
  const page = await fetch(form.dataset.form, { headers: { accept: 'text/html' }, redirect: 'manual' });
  const found = new DOMParser().parseFromString(await page.text(), 'text/html').querySelector('#review input[name="form_token"]');
  if (!page.ok || !found) return false;
  for (const field of document.querySelectorAll('input[name="form_token"]')) field.value = found.value;
  return true;
};

const post = () => fetch(form.dataset.save, {
  method: 'POST',
  headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(new FormData(form)),
  redirect: 'manual',
});

const conflicting = (found) => {
  say(`${found.by || 'Somebody else'} has changed this review meanwhile. Nothing of theirs was written over. Choose “Save and go on later” to compare both.`, true);
  form.dataset.conflict = String(found.number);
};

const attempt = async () => {
  form.dataset.since = String(Date.now());
  const sentAt = since;
  let answer;
  try {
    answer = await post();
    if (answer.status === 401 || answer.status === 403) {
      if (await renewToken()) answer = await post();
    }
  } catch {
    say('Not saved: no connection. What you typed stays on this page, and saving is tried again.', true);
    return false;
  }
  if (answer.ok) {
    const found = await answer.json();
    numbered(found.number);
    show(found.shown, found.wrong);
    dirty = since !== sentAt;
    say(`Saved ${found.saved}`);
    return true;
  }
  if (answer.status === 409) {
    conflicting(await answer.json());
    return true;
  }
  if (answer.status === 401 || answer.status === 403) {
    say('You have been signed out. What you typed stays on this page: sign in again in another tab, and it is saved.', true);
    return false;
  }
  say('Not saved. What you typed stays on this page, and saving is tried again.', true);
  return false;
};

const save = async () => {
  clearTimeout(timer);
  if (saving || form.dataset.conflict) return saving;
  saving = attempt();
  const done = await saving;
  saving = null;
  if (dirty && !form.dataset.conflict && !going) timer = setTimeout(save, done ? WAIT : AGAIN);
  return done;
};

const typed = () => {
  const now = Date.now();
  if (!dirty) {
    dirty = true;
    form.dataset.since = String(now);
  }
  since += 1;
  if (form.dataset.conflict) return;
  if (said.dataset.state !== 'wrong') say('Saving…');
  clearTimeout(timer);
  timer = setTimeout(save, now - Number(form.dataset.since) > LONGEST ? 0 : WAIT);
};

if (form) {
  form.addEventListener('input', typed);
  form.addEventListener('change', typed);
  for (const button of form.querySelectorAll('[data-clear]')) {
    button.hidden = false;
    button.addEventListener('click', () => {
      for (const field of form.elements[button.dataset.clear]) field.checked = false;
      typed();
      form.elements[button.dataset.clear][0].focus();
    });
  }
  // A form that is sent carries everything: it waits for a saving under way, so as not to meet its own.
  form.addEventListener('submit', async (event) => {
    clearTimeout(timer);
    if (saving) {
      event.preventDefault();
      const button = event.submitter;
      await saving;
      form.requestSubmit(button);
      return;
    }
    going = true;
    dirty = false;
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden' && dirty && !going) save();
  });
  window.addEventListener('beforeunload', (event) => {
    if (dirty && !going) event.preventDefault();
  });
  document.querySelector('[data-focus-first]')?.focus();
}
