// How many records flow: the difference between two readings of /metrics.

import { isOn, onChange } from "./live.js";

const PERIOD_MS = 1000;
const LINE = /^streams_records_(read|written)_total\{service="([^"]+)",topic="([^"]+)"\} (\d+)$/gm;

let before;
let timer;

/**
 * Calls `onRates` each second with `[{service, topic, read, written}]`, records a second, and
 * `onReached` with whether the server answers.
 */
export function start(onRates, onReached) {
  const turn = async () => {
    const now = await readCounts();
    onReached(now !== undefined);
    const rates = between(before, now);
    before = now;
    if (rates) {
      onRates(rates);
    }
    timer = isOn() ? setTimeout(turn, PERIOD_MS) : undefined;
  };
  onChange(() => {
    if (isOn() && timer === undefined) {
      // After a pause it would be a mean over all of it.
      before = undefined;
      timer = setTimeout(turn, 0);
    }
  });
  timer = setTimeout(turn, 0);
}

async function readCounts() {
  try {
    const response = await fetch("/metrics");
    const text = await response.text();
    return response.ok ? { at: performance.now(), counts: parse(text) } : undefined;
  } catch {
    return undefined;
  }
}

function parse(text) {
  const counts = new Map();
  for (const [, kind, service, topic, count] of text.matchAll(LINE)) {
    const key = `${service} ${topic}`;
    const entry = counts.get(key) ?? { service, topic, read: 0, written: 0 };
    entry[kind] = Number(count);
    counts.set(key, entry);
  }
  return counts;
}

/** The rates between two readings; a server that was started in between counts from 0. */
function between(earlier, later) {
  if (earlier === undefined || later === undefined) {
    return undefined;
  }
  const seconds = (later.at - earlier.at) / 1000;
  const rate = (was, is) => (is < was ? is : is - was) / seconds;
  return [...later.counts].map(([key, { service, topic, read, written }]) => {
    const was = earlier.counts.get(key) ?? { read: 0, written: 0 };
    return {
      service,
      topic,
      read: rate(was.read, read),
      written: rate(was.written, written),
    };
  });
}
