// Starts the NHS design system's components. Pages work without this file.
import { initAll } from './vendor/nhsuk-frontend.min.js';

document.body.classList.add('js-enabled', 'nhsuk-frontend-supported');
initAll();
