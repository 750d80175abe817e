import inflection
import words


def handler(event, context):
    print("asked for", event["word"])
    return {"plural": inflection.pluralize(event["word"]), "layer": words.WORD}
