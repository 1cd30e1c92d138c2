// Signs in, and changes a one-time password before the page opens.
const signIn = document.getElementById("sign-in");
const change = document.getElementById("change");
const told = document.getElementById("told");

async function send(form, path, body) {
  const button = form.querySelector("button");
  button.disabled = true;
  told.textContent = "";
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const document = answer.status === 204 ? {} : await answer.json();
    if (!answer.ok) throw new Error(document.detail);
    return document;
  } catch (error) {
    told.textContent = error instanceof TypeError ? "The server does not answer." : error.message;
    return null;
  } finally {
    button.disabled = false;
  }
}

function askForChange(current) {
  signIn.hidden = true;
  change.hidden = false;
  change.elements.current.value = current;
  (current ? change.elements.fresh : change.elements.current).focus();
}

signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = signIn.elements.namedItem("name");
  const password = signIn.elements.namedItem("password");
  const user = await send(signIn, "/api/v1/auth/login", { name: name.value, password: password.value });
  if (user === null) return;
  if (user.must_change_password) askForChange(password.value);
  else location.replace("/");
});

change.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { current, fresh, again } = change.elements;
  if (fresh.value !== again.value) {
    told.textContent = "The two new passwords differ.";
    return;
  }
  const body = { current_password: current.value, new_password: fresh.value };
  if ((await send(change, "/api/v1/auth/password", body)) !== null) location.replace("/");
});

const answer = await fetch("/api/v1/user/profile");
if (answer.ok && (await answer.json()).must_change_password) askForChange("");
