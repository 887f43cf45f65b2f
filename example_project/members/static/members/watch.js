// While a change is on its way, fetch the page again and show where the member stands now.
// Without this script the page works all the same: there is a link that says "Look again".
(function () {
  "use strict";
  const id = "standing";
  let left = 60;

  async function lookAgain() {
    const old = document.getElementById(id);
    if (!old || old.dataset.state !== "pending" || left-- <= 0) return;
    if (!old.contains(document.activeElement)) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(id);
        if (fresh && fresh.innerHTML !== old.innerHTML) {
          old.innerHTML = fresh.innerHTML;
          old.dataset.state = fresh.dataset.state;
        }
      } catch (error) {
        left = 0; // the site is gone; the link is still there
      }
    }
    setTimeout(lookAgain, 700);
  }

  setTimeout(lookAgain, 700);
})();
