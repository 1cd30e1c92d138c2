// The vendored libraries in one place, so that no other module names their files.
import { h, render, Fragment } from "../vendor/preact.mjs";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.mjs";
import { signal, computed, effect, batch } from "../vendor/preact-signals.mjs";
import htm from "../vendor/htm.mjs";

export const html = htm.bind(h);
export { render, Fragment, useEffect, useLayoutEffect, useMemo, useRef, useState };
export { signal, computed, effect, batch };
