// Start and pause, sliders and switches: what they say goes out at once, what others change comes in.

const EVERY_MS = 100; // a slider being dragged; the server takes 20 messages a second
const TRUST_MS = 1500; // how long our own change outranks what the server says

export class Controls {
  /**
   * @param {HTMLFieldSetElement} fieldset its inputs are named after the settings
   * @param {HTMLButtonElement} button starts and pauses
   * @param {(changes: object) => void} send
   */
  constructor(fieldset, button, send) {
    this.fieldset = fieldset;
    this.button = button;
    this.send = send;
    this.changes = {}; // not sent yet
    this.ours = new Map(); // name -> {value, until}: sent, not confirmed
    this.timer = 0;
    this.paused = false;
    this.inputs = [...fieldset.querySelectorAll("input[name]")];
    for (const input of this.inputs) {
      input.addEventListener("input", () => {
        this.label(input);
        this.change(input.name, read(input));
      });
    }
    button.addEventListener("click", () => this.change("paused", !this.paused));
  }

  /** Send a change: the first at once, those that follow it closely together. */
  change(name, value) {
    this.changes[name] = value;
    this.ours.set(name, { value, until: performance.now() + TRUST_MS });
    if (name === "paused") this.showPaused(value);
    if (!this.timer) this.flush();
  }

  flush() {
    this.timer = 0;
    if (!Object.keys(this.changes).length) return;
    this.send(this.changes);
    this.changes = {};
    this.timer = setTimeout(() => this.flush(), EVERY_MS);
  }

  /** Show the settings that hold. A slider that is being dragged is not pulled back by the echo of where it was. */
  apply(settings) {
    for (const [name, value] of Object.entries(settings)) {
      const own = this.ours.get(name);
      if (own && own.value !== value && performance.now() < own.until) continue;
      if (own?.value === value) this.ours.delete(name);
      if (name === "paused") this.showPaused(value);
      const input = this.inputs.find((candidate) => candidate.name === name);
      if (!input) continue;
      if (input.type === "checkbox") input.checked = value;
      else if (read(input) !== value) input.value = value;
      this.label(input);
    }
  }

  label(input) {
    const output = this.fieldset.querySelector(`output[for="${input.id}"]`);
    if (!output) return;
    const value = read(input);
    output.value = value === 0 && input.dataset.zero ? input.dataset.zero : value.toFixed(2);
    input.setAttribute("aria-valuetext", output.value);
  }

  showPaused(paused) {
    this.paused = paused;
    this.button.classList.toggle("start", paused);
    this.button.querySelector("span").textContent = paused ? "Start" : "Pause";
  }

  /** Without a connection nothing can be changed. Whoever was changing something goes on where they were. */
  enable(connected) {
    if (connected === !this.fieldset.disabled) return;
    if (!connected) {
      this.focused = [this.button, ...this.inputs].find((element) => element === document.activeElement);
      this.ours.clear();
      this.changes = {};
    }
    this.fieldset.disabled = this.button.disabled = !connected;
    if (connected && document.activeElement === document.body) this.focused?.focus();
  }
}

function read(input) {
  return input.type === "checkbox" ? input.checked : Number(input.value);
}
