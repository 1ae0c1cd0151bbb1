// The texts of the scripts in the reader's language: the page holds each one with its translation.

const known = new Map([...document.querySelectorAll("#texts > li")].map((one) => [one.dataset.text, one.textContent]));

// The text with its values in place of {0}, {1} …
export function translate(text, ...values) {
  return (known.get(text) ?? text).replace(/\{(\d)\}/g, (_, place) => values[place]);
}
