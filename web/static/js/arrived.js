// Back from the provider: the session's cookie counts from the next page on, which is opened here.

import { part } from "./dom.js";

location.replace(part("onward").href);
