/** Text of strangers, on a page of ours. */

/** Control characters, those that change the direction, and those that show nothing. U+2800 is a Braille letter without dots. */
const unseen =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\u2800](?<!\p{Emoji}[\ufe0e\ufe0f])/gu

/** Makes characters that nobody would see visible, as boxes. The one that says how an emoji is drawn stays. */
export function visibleText(text: string): string {
  return text.replace(unseen, '\u25a1').trim()
}
