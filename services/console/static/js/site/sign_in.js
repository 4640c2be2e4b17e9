// Signing in, by the code behind the # of a link or by a token; signing out.
import { call } from "../lib/api.js";

/** Where to go afterwards: a page of this console, nothing else. */
function wantedPage() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  const address = new URL(wanted, location.origin);
  return address.origin === location.origin && address.pathname !== "/sign-in" ? address.pathname + address.search : "/";
}

export function signIn() {
  return {
    token: "",
    problem: "",
    working: false,
    init() {
      const code = location.hash.slice(1);
      if (!code) return;
      history.replaceState({}, "", location.pathname + location.search);
      this.enter({ code });
    },
    get empty() { return !this.token.trim(); },
    send() { this.enter({ token: this.token.trim() }); },
    async enter(body) {
      this.working = true;
      this.problem = "";
      try {
        await call("POST", "/session", { body });
        location.replace(wantedPage());
      } catch (error) {
        this.working = false;
        this.problem = error.message;
      }
    },
  };
}

export function signOut() {
  return {
    async go() {
      await call("DELETE", "/session");
      location.assign("/sign-in");
    },
  };
}
