export function orders(root) { root.replaceChildren('…'); }
