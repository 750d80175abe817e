import os

from chalice import Chalice

app = Chalice(app_name="greeter")


@app.lambda_function(name="plural")
def plural(event, context):
    # Chalice imports this file to see what is to be deployed, where there are no dependencies yet.
    import inflection

    print("asked for", event["word"])
    return inflection.pluralize(event["word"]) + os.environ["MARK"]


@app.on_sqs_message(queue="words", batch_size=3)
def on_word(event):
    return [record.body for record in event]
