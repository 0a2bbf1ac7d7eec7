// Where page.js does not run (a browser too old for it, a fault of ours), the page is loaded anew now and then, unless
// it carries a form or its visitor asked for stillness. Any browser of this century understands this file.
setTimeout(function () {
  var body = document.body;
  if (!/\bon\b/.test(document.documentElement.className) && body.getAttribute('data-state') !== 'closed' &&
      !body.getAttribute('data-form') && body.getAttribute('data-still') === null) location.reload();
}, 15000);
