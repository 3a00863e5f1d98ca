// What keeps this page up to date, and when it does not: nobody looks, or the user paused it.

const EVENT_TYPES = [
  "OrderCreated",
  "OrderValidated",
  "OrderPaid",
  "OrderShipped",
  "OrderFailed",
  "OrderCancelled",
];
/** How long after a stream was refused it is asked for again, in milliseconds. */
const RETRY_MS = 2000;

const listeners = [];
let paused = false;

/** Whether somebody looks at the page. Streams of one that is hidden would keep connections, of
 * which a browser has six for all its pages of one server. */
export function isVisible() {
  return !document.hidden;
}

/** Whether what changes by itself is to be shown. */
export function isOn() {
  return isVisible() && !paused;
}

/** Pauses what changes by itself, or lets it go on. */
export function setPaused(value) {
  paused = value;
  changed();
}

/** Calls `listener` whenever `isVisible` or `isOn` may have changed. */
export function onChange(listener) {
  listeners.push(listener);
}

function changed() {
  listeners.forEach((listener) => listener());
}

document.addEventListener("visibilitychange", changed);

/**
 * A stream of order events, open as long as `while` says so. It is begun anew whenever it was away
 * for longer than the browser bridges by itself, so `onOpen` is to read what may have been missed.
 */
export class EventStream {
  #source;
  #retry;
  #handlers;

  /** `handlers`: `while()`, `onOpen()`, `onEvent({type, place, order})`, each may be left out but
   * `onEvent`. */
  constructor(path, handlers) {
    this.path = path;
    this.#handlers = { while: isOn, onOpen() {}, ...handlers };
    this.update();
  }

  /** Opens or closes it, as `while` says now. */
  update() {
    if (this.#handlers.while()) {
      this.#open();
    } else {
      this.close();
    }
  }

  close() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#source?.close();
    this.#source = undefined;
  }

  #open() {
    if (this.#source || this.#retry) {
      return;
    }
    const source = new EventSource(this.path);
    this.#source = source;
    source.addEventListener("open", () => this.#handlers.onOpen());
    for (const type of EVENT_TYPES) {
      source.addEventListener(type, (message) => {
        const order = JSON.parse(message.data);
        this.#handlers.onEvent({ type, place: message.lastEventId, order });
      });
    }
    // The server has more news than were taken: better none of the old than all of it late.
    source.addEventListener("dropped", () => this.#again(0));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) {
        this.#again(RETRY_MS);
      }
    });
  }

  #again(afterMs) {
    this.close();
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.update();
    }, afterMs);
  }
}
