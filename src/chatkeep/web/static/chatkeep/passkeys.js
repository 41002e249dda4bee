// Passkeys: asks the browser for one and sends what it gives. Forms with data-passkey="create", "get" or "sign-in".
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  async function create(options, passwordless) {
    const asked = options.publicKey;
    const wanted = { ...(asked.authenticatorSelection || {}) };
    wanted.residentKey = passwordless ? "required" : "discouraged";
    wanted.requireResidentKey = passwordless;
    if (passwordless) wanted.userVerification = "required";
    const made = await navigator.credentials.create({
      publicKey: {
        ...asked,
        authenticatorSelection: wanted,
        challenge: bytes(asked.challenge),
        user: { ...asked.user, id: bytes(asked.user.id) },
        excludeCredentials: named(asked.excludeCredentials),
      },
    });
    return plain(made, {
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports ? made.response.getTransports() : [],
    });
  }

  async function get(options) {
    const asked = options.publicKey;
    const found = await navigator.credentials.get({
      publicKey: { ...asked, challenge: bytes(asked.challenge), allowCredentials: named(asked.allowCredentials) },
    });
    const { authenticatorData, signature, userHandle } = found.response;
    return plain(found, {
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle ? text(userHandle) : null,
    });
  }

  const plain = (one, response) => ({
    type: one.type,
    id: one.id,
    rawId: text(one.rawId),
    response: { ...response, clientDataJSON: text(one.response.clientDataJSON) },
    clientExtensionResults: one.getClientExtensionResults(),
  });

  async function asked(form) {
    if (form.dataset.ask) {
      const answer = await fetch(form.dataset.ask, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`The server answered with ${answer.status}.`);
      return (await answer.json()).request_options;
    }
    const given = JSON.parse(document.getElementById(form.dataset.options).textContent);
    return given.creation_options || given.request_options;
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault(); // form.submit() below comes by here no more
      const trouble = form.querySelector("[role=alert]");
      trouble.hidden = true;
      try {
        const options = await asked(form);
        const box = form.elements.passwordless;
        const given =
          form.dataset.passkey === "create" ? await create(options, Boolean(box && box.checked)) : await get(options);
        form.elements.credential.value = JSON.stringify(given);
        form.submit();
      } catch (error) {
        trouble.textContent = `It did not work: ${error.message} Nothing was changed; try it again.`;
        trouble.hidden = false;
      }
    });
  }
})();
