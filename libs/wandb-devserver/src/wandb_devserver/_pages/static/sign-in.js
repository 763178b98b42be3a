// Signs in by the one-time code of a sign-in link. Codes are in the fragment: no server and no log sees them.

const form = document.getElementById("sign-in");
const code = location.hash.slice(1);

if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.key.value = code;
  form.submit();
}
