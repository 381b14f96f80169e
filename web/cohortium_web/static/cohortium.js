// Starts the NHS design system's components. Pages work without this file.
import { initAll } from './vendor/nhsuk-frontend.min.js';

document.body.classList.add('js-enabled', 'nhsuk-frontend-supported');
initAll();

// Explanations open in the page: focus goes to what was opened, and back to where it was when it is closed.
document.body.addEventListener('htmx:after:swap', () => {
  const opened = document.querySelector('[data-focus]');
  if (!opened) return;
  opened.removeAttribute('data-focus');
  opened.closest('.app-why')?.querySelector('[data-close]')?.removeAttribute('hidden');
  opened.focus();
});
document.body.addEventListener('click', (event) => {
  const close = event.target.closest('[data-close]');
  if (!close) return;
  const back = document.querySelector(close.dataset.return)?.querySelector('a');
  document.querySelector(close.dataset.close).replaceChildren();
  back?.focus();
});
